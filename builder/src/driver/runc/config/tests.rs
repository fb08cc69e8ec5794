use std::time::{Duration, UNIX_EPOCH};

use oci::{Algorithm, Digest};
use serde_json::{Value, json};

use super::{New, assemble};
use crate::s2i::ExecutionConfig;

fn new(diff_id: Option<Digest>, config: &ExecutionConfig) -> New<'_> {
    New {
        config,
        diff_id,
        epoch: UNIX_EPOCH + Duration::from_secs(1_600_000_000),
        by: "slipway build",
    }
}

#[test]
fn what_the_base_says_stays_to_the_byte() {
    let base = r#"{"architecture":"arm","variant":"v7","os":"linux","author":"Ann \u00e9","container":"abc",
        "container_config":{"Hostname":"x"},"created":"2020-01-01T00:00:00.5Z","docker_version":"20","x":1.50,
        "config":{"Cmd":["old"]},
        "history":[{"created":"2020-01-01T00:00:00.5Z","created_by":"ADD \u003cfile\u003e","odd":1.0}],
        "rootfs":{"type":"layers","diff_ids":["sha256:aaaa"]}}"#;
    let digest = Digest::of(Algorithm::Sha256, b"layer");
    let config: ExecutionConfig = serde_json::from_value(json!({"Cmd": ["new"]})).unwrap();
    let made = assemble(base.as_bytes(), &new(Some(digest), &config)).unwrap();
    let text = String::from_utf8(made.clone()).unwrap();
    for kept in [
        r#""author":"Ann \u00e9""#,
        r#""x":1.50"#,
        r#"{"created":"2020-01-01T00:00:00.5Z","created_by":"ADD \u003cfile\u003e","odd":1.0},{"#,
        &format!(r#""diff_ids":["sha256:aaaa","{digest}"]"#),
    ] {
        assert!(text.contains(kept), "{kept} in {text}");
    }
    let made: Value = serde_json::from_slice(&made).unwrap();
    assert_eq!(made["created"], "2020-09-13T12:26:40Z");
    assert_eq!(made["config"]["Cmd"], json!(["new"]));
    assert_eq!(
        made["history"][1],
        json!({"created": "2020-09-13T12:26:40Z", "created_by": "slipway build"})
    );
    assert!(made.get("container").is_none() && made.get("container_config").is_none());
}

#[test]
fn a_base_without_history_is_no_error() {
    let config = ExecutionConfig::default();
    for base in [
        r#"{"rootfs":{"type":"layers","diff_ids":null},"history":null}"#,
        "{}",
    ] {
        let made = assemble(base.as_bytes(), &new(None, &config)).unwrap();
        let made: Value = serde_json::from_slice(&made).unwrap();
        assert_eq!(made["rootfs"]["diff_ids"], json!([]));
        assert_eq!(made["history"][0]["empty_layer"], true);
    }
    assert!(assemble(b"[]", &new(None, &config)).is_err());
}
