use super::{ByKubeconfig, Kept, host, whole};

#[test]
fn a_registry_is_found_however_a_client_names_it() {
    for text in [
        "registry.example.com:5000",
        "https://registry.example.com:5000",
        "https://registry.example.com:5000/v2/",
        "registry.example.com:5000\n",
    ] {
        assert_eq!(host(text), "registry.example.com:5000", "{text}");
        assert_eq!(whole(text).unwrap(), "registry.example.com:5000", "{text}");
    }
}

#[test]
fn a_part_of_a_registry_has_no_login_of_its_own_and_is_read_by_that_of_the_whole() {
    assert_eq!(host("reg.example/team"), "reg.example");
    for text in [
        "reg.example/team",
        "https://reg.example/v2/team",
        "reg.example/v3/",
    ] {
        let error = whole(text).unwrap_err().to_string();
        assert!(error.ends_with("name it as reg.example"), "{error}");
    }
    assert_eq!(
        whole("https://index.docker.io/v1/").unwrap(),
        "index.docker.io"
    );
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
