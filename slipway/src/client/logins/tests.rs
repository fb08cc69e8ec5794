use super::{ByKubeconfig, Kept, host};

#[test]
fn a_registry_is_found_however_a_client_names_it() {
    for text in [
        "registry.example.com:5000",
        "https://registry.example.com:5000",
        "https://registry.example.com:5000/v2/",
        "registry.example.com:5000\n",
    ] {
        assert_eq!(host(text), "registry.example.com:5000", "{text}");
    }
}

#[test]
fn what_is_written_for_a_kubeconfig_holds_no_secret() {
    let login = Kept::Kubeconfig(ByKubeconfig {
        files: vec!["/home/ada/.kube/config".into()],
        context: "prod".into(),
        service_account: None,
        audience: None,
    });
    let text = serde_json::to_string(&login).unwrap();
    let expected = r#"{"kubeconfig":{"files":["/home/ada/.kube/config"],"context":"prod"}}"#;
    assert_eq!(text, expected);
    assert!(login == serde_json::from_str(&text).unwrap());
}
