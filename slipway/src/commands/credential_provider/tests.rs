use serde_json::{Value, json};

use super::*;

fn request(image: &str, token: &str) -> String {
    json!({
        "apiVersion": VERSION,
        "kind": "CredentialProviderRequest",
        "image": image,
        "serviceAccountToken": token,
        "serviceAccountAnnotations": {"some": "thing"},
    })
    .to_string()
}

fn answered(image: &str, registries: &[&str]) -> Value {
    let registries: Vec<String> = registries.iter().map(ToString::to_string).collect();
    serde_json::from_str(&answer(&request(image, "the-token"), &registries).unwrap()).unwrap()
}

#[test]
fn the_pods_token_is_the_password_for_our_registry_alone() {
    let ours = ["registry.example.com", "10.0.0.7:5000"];
    for image in [
        "registry.example.com/team/app:v1",
        "10.0.0.7:5000/team/app@sha256:00",
    ] {
        let host = host(image);
        let login = json!({"username": "serviceaccount", "password": "the-token"});
        let said = answered(image, &ours);
        assert_eq!(said["auth"], json!({ host: login }), "{image}");
        assert_eq!(said["cacheKeyType"], "Registry");
    }
    for image in [
        "registry.example.com.evil.org/team/app",
        "evil.org/registry.example.com/app",
        "10.0.0.7/team/app",
        "registry.example.com",
    ] {
        assert_eq!(answered(image, &ours)["auth"], json!({}), "{image}");
    }
}

#[test]
fn a_request_that_is_none_is_refused_without_being_repeated() {
    let ours = ["r".to_owned()];
    let cut = &request("r/a/b", "the-token")[..60];
    for text in ["", "{}", "[1]", cut, "{\"serviceAccountToken\": the-token}"] {
        let said = answer(text, &ours).unwrap_err().to_string();
        assert!(said.contains("standard input"), "{said}");
        assert!(!said.contains("the-token"), "{said}");
    }
    let old = request("r/a/b", "t").replace("/v1", "/v1alpha1");
    assert!(
        answer(&old, &ours)
            .unwrap_err()
            .to_string()
            .contains("v1alpha1")
    );
    let none = answer(&request("r/a/b", ""), &ours)
        .unwrap_err()
        .to_string();
    assert!(none.contains("tokenAttributes"), "{none}");
}

#[test]
fn the_kubelets_configuration_names_each_registry_twice() {
    let registries = [
        "registry.example.com".to_owned(),
        "10.0.0.7:5000".to_owned(),
    ];
    let text = config(&registries, "slipway").unwrap();
    let parsed: Value = serde_saphyr::from_str(&text).unwrap();
    let provider = &parsed["providers"][0];
    assert_eq!(provider["matchImages"], json!(registries));
    assert_eq!(
        provider["args"],
        json!([
            "credential-provider",
            "get",
            "--registry",
            "registry.example.com",
            "--registry",
            "10.0.0.7:5000"
        ])
    );
    let attributes = &provider["tokenAttributes"];
    assert_eq!(attributes["serviceAccountTokenAudience"], "slipway");
    // The kubelet takes a token for a password in no other case.
    assert_eq!(attributes["cacheType"], "Token");
    for bad in ["", "https://r", "*.example.com", "a b"] {
        assert!(config(&[bad.to_owned()], "slipway").is_err(), "{bad}");
    }
}
