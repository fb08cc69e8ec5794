use serde_json::json;

use super::*;
use crate::s2i::ImageConfig;

fn base() -> ExecutionConfig {
    let json = json!({"config": {
        "User": "1001",
        "Env": ["PATH=/bin", "HOME=/opt", "STI=1"],
        "Entrypoint": ["container-entrypoint"],
        "Cmd": ["usage"],
        "WorkingDir": "/opt/src",
        "ExposedPorts": {"8080/tcp": {}},
        "StopSignal": "SIGQUIT",
        "Labels": {"name": "base", "io.k8s.description": "base"},
    }});
    ImageConfig::parse(json.to_string().as_bytes())
        .unwrap()
        .execution()
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
    pairs.iter().map(owned).collect()
}

#[test]
fn the_result_is_the_base_with_command_environment_and_labels() {
    let variables = [
        Variable::parse("HOME=/home", Scope::Both).unwrap(),
        Variable::parse("NEW=1", Scope::Both).unwrap(),
        Variable::parse("TOKEN=secret", Scope::Build).unwrap(),
        Variable::parse("NEW=2", Scope::Both).unwrap(),
    ];
    let config = result(
        &base(),
        Some(&ContainerPath::parse("/usr/libexec/s2i/run").unwrap()),
        &variables,
        &labels(&[("io.k8s.description", "generated"), ("x", "generated")]),
        &labels(&[("x", "requested")]),
    )
    .unwrap();
    let config = with_labels(config, &labels(&[("x", "assembled"), ("y", "1")])).unwrap();
    assert_eq!(
        serde_json::to_value(&config).unwrap(),
        json!({
            "User": "1001",
            "Env": ["PATH=/bin", "HOME=/home", "STI=1", "NEW=2"],
            "Entrypoint": ["container-entrypoint"],
            "Cmd": ["/usr/libexec/s2i/run"],
            "WorkingDir": "/opt/src",
            "ExposedPorts": {"8080/tcp": {}},
            "StopSignal": "SIGQUIT",
            "Labels": {
                "name": "base",
                "io.k8s.description": "generated",
                "x": "assembled",
                "y": "1",
            },
        })
    );
}
