use serde_json::json;

use super::*;
use crate::s2i::ImageConfig;

fn image(config: &serde_json::Value) -> ExecutionConfig {
    let json = json!({"os": "linux", "architecture": "amd64", "config": config});
    ImageConfig::parse(json.to_string().as_bytes())
        .unwrap()
        .execution()
}

fn read(config: &serde_json::Value) -> (Result<Contract, Refusal>, Vec<String>) {
    let mut warnings = Vec::new();
    let contract = Contract::of("builder image", &image(config), &mut warnings);
    (contract, warnings.iter().map(Warning::to_string).collect())
}

#[test]
fn a_current_image_is_read_without_a_warning() {
    let (contract, warnings) = read(&json!({
        "User": "1001",
        "WorkingDir": "/opt/app-root/src",
        "Labels": {
            "io.openshift.s2i.scripts-url": "image:///usr/libexec/s2i",
            "io.s2i.scripts-url": "image:///old",
            "io.openshift.s2i.destination": "/opt/s2i/",
            "io.openshift.s2i.assemble-user": "1002",
        },
    }));
    let contract = contract.unwrap();
    assert_eq!(contract.scripts_dir().unwrap().as_str(), "/usr/libexec/s2i");
    assert_eq!(contract.destination().as_str(), "/opt/s2i");
    assert_eq!(contract.user().as_str(), "1001");
    assert_eq!(contract.assemble_user().as_str(), "1002");
    assert_eq!(contract.working_dir().as_str(), "/opt/app-root/src");
    assert_eq!(warnings, [""; 0]);
}

#[test]
fn old_labels_come_before_old_variables() {
    let env = json!(["STI_SCRIPTS_URL=image:///env", "STI_LOCATION= /loc "]);
    let (contract, warnings) = read(&json!({"Env": env, "Labels": null}));
    let contract = contract.unwrap();
    assert_eq!(contract.scripts_dir().unwrap().as_str(), "/env");
    assert_eq!(contract.destination().as_str(), "/loc");
    assert_eq!(contract.working_dir().as_str(), "/");
    assert_eq!(warnings.len(), 2, "{warnings:?}");

    let labels =
        json!({"io.s2i.scripts-url": "image:///label", "io.openshift.s2i.scripts-url": ""});
    let (contract, warnings) = read(&json!({"Env": env, "Labels": labels}));
    assert_eq!(
        contract.unwrap().scripts_dir().unwrap().as_str(),
        "/label",
        "an empty label is none"
    );
    assert!(warnings.iter().any(|w| w.contains("io.s2i.scripts-url")));
}

#[test]
fn without_labels_there_are_no_scripts_and_the_destination_is_tmp() {
    let (contract, warnings) = read(&json!({}));
    let contract = contract.unwrap();
    assert_eq!(contract.scripts_dir(), None);
    assert_eq!(contract.destination().as_str(), "/tmp");
    assert_eq!(contract.assemble_user(), &User::default());
    assert_eq!(warnings.len(), 1);
}

#[test]
fn what_a_url_of_scripts_hides_is_not_told() {
    for url in [
        "https://example.com/hunter2",
        "https://ann:hunter2@example.com/s",
        "https://example.com/s?token=hunter2",
        "http://example.com/s?token=hunter2",
        "file:///hunter2",
    ] {
        for label in [SCRIPTS_URL, OLD_SCRIPTS_URL.0] {
            let (contract, warnings) = read(&json!({"Labels": {label: url}}));
            let refusal = contract.unwrap_err().to_string();
            assert!(refusal.contains("scripts-url"), "{refusal}");
            assert!(
                !format!("{refusal}{warnings:?}").contains("hunter2"),
                "{refusal}"
            );
        }
    }
}

#[test]
fn what_an_image_may_not_say_is_refused() {
    let label = |name: &str, value: &str| json!({"Labels": {name: value}});
    for (config, reason) in [
        (json!({"OnBuild": ["RUN make"]}), Reason::OnBuildForbidden),
        (
            label(SCRIPTS_URL, "https://example.com/scripts"),
            Reason::FetchScriptsFailed,
        ),
        (
            label(SCRIPTS_URL, "file:///etc"),
            Reason::GenericS2IBuildFailed,
        ),
        (
            label(SCRIPTS_URL, "image:///usr/../etc"),
            Reason::GenericS2IBuildFailed,
        ),
        (label(DESTINATION, "../.."), Reason::GenericS2IBuildFailed),
        (
            label(ASSEMBLE_USER, "4294967296"),
            Reason::GenericS2IBuildFailed,
        ),
        (json!({"User": "0 0"}), Reason::GenericS2IBuildFailed),
        (json!({"User": "+1001"}), Reason::GenericS2IBuildFailed),
        // Read as a number here, and by engines as the name of an account.
        (json!({"User": "1001 "}), Reason::GenericS2IBuildFailed),
        (json!({"User": "1001 :0"}), Reason::GenericS2IBuildFailed),
        (json!({"WorkingDir": "src"}), Reason::GenericS2IBuildFailed),
    ] {
        let refusal = read(&config).0.unwrap_err();
        assert_eq!(refusal.reason(), reason, "{config}: {refusal}");
    }
}
