//! `slipway build convert`: no server is asked.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic to report")]

mod support;

use std::process::Output;

use support::{run, slipway, stdout};

const BUILD_CONFIG: &str = r#"
apiVersion: build.openshift.io/v1
kind: BuildConfig
metadata: {name: web, namespace: shop}
spec:
  source: {git: {uri: "https://git.example.com/shop/web.git", ref: "1.10"}}
  strategy: {sourceStrategy: {from: {kind: ImageStreamTag, name: "nodejs:20"}, env: [{name: MODE, value: "yes"}]}}
  output: {to: {kind: ImageStreamTag, name: "web:latest"}, imageLabels: [{name: a, value: 'a# "b": c'}]}
"#;

fn convert(args: &[&str], input: &str) -> Output {
    let mut command = slipway();
    command.env_remove("SLIPWAY_NAMESPACE");
    run(command.args(["build", "convert"]).args(args), input)
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn builds_go_to_standard_output_and_notes_to_standard_error() {
    let done = convert(&["-", "--strict"], BUILD_CONFIG);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let spec: serde_json::Value = serde_saphyr::from_str(&stdout(&done)).unwrap();
    assert_eq!(
        spec,
        serde_json::json!({
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {
                "source": {"kind": "git", "url": "https://git.example.com/shop/web.git", "revision": "1.10"},
                "builder": "shop/nodejs:20",
                "env": [{"name": "MODE", "value": "yes"}],
                "output": {"image": "shop/web:latest", "labels": {"a": "a# \"b\": c"}},
            },
        })
    );
    assert_eq!(
        stderr(&done),
        "-: BuildConfig web: spec.strategy.sourceStrategy.from.name: to do: shop/nodejs:20 must be in this registry: slipway copy IMAGE \
         REGISTRY/shop/nodejs:20\n"
    );
}

#[test]
fn what_is_lost_is_a_failure_if_asked_and_what_is_none_always() {
    let lossy = format!("{BUILD_CONFIG}  nodeSelector: {{disk: ssd}}\n");
    assert_eq!(convert(&["-"], &lossy).status.code(), Some(0));
    assert_eq!(convert(&["-", "--strict"], &lossy).status.code(), Some(1));

    let docker = "apiVersion: build.openshift.io/v1\nkind: BuildConfig\nmetadata: {name: d, namespace: shop}\n\
                  spec: {strategy: {dockerStrategy: {}}}\n";
    let both = format!("{docker}---{BUILD_CONFIG}");
    let done = convert(&["-"], &both);
    assert_eq!(done.status.code(), Some(1));
    assert!(stdout(&done).contains("name: web"), "{done:?}");
    assert!(
        stderr(&done).contains("BuildConfig d: spec.strategy.dockerStrategy: error: "),
        "{done:?}"
    );

    for (input, said) in [
        ("a: [", "slipway: -:1"),
        ("", "there is nothing in it"),
        (
            "kind: Service\nmetadata: {name: \"a\\e[31m\"}",
            "-: Service a [31m: kind: warning: ",
        ),
    ] {
        let done = convert(&["-"], input);
        assert_eq!(done.status.code(), Some(1), "{input}");
        assert_eq!(stdout(&done), "", "{input}");
        assert!(stderr(&done).contains(said), "{input}: {done:?}");
    }
}

#[test]
fn a_namespace_is_asked_for_and_never_changed() {
    let nowhere = BUILD_CONFIG.replace(", namespace: shop", "");
    let done = convert(&["-"], &nowhere);
    assert!(
        stderr(&done).contains("metadata.namespace: error: in which namespace?"),
        "{done:?}"
    );
    let done = convert(&["-", "-n", "mill"], &nowhere);
    assert!(stdout(&done).contains("image: mill/web:latest"), "{done:?}");
    let done = convert(&["-", "-n", "mill"], BUILD_CONFIG);
    assert_eq!(
        (done.status.code(), stdout(&done)),
        (Some(1), String::new())
    );
}
