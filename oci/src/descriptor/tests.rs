use serde_json::json;

use super::Descriptor;
use crate::{Algorithm, Digest, MediaType};

fn digest() -> Digest {
    Digest::of(Algorithm::Sha256, b"{}")
}

#[test]
fn the_least_descriptor_says_nothing_more() {
    let descriptor = Descriptor::new(MediaType::OCI_EMPTY, digest(), 2);
    let json =
        json!({"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest(), "size": 2});
    assert_eq!(serde_json::to_value(&descriptor).unwrap(), json);
    assert_eq!(
        serde_json::from_value::<Descriptor>(json).unwrap(),
        descriptor
    );
}

#[test]
fn everything_a_descriptor_says_comes_back() {
    let json = json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": digest(),
        "size": 2,
        "artifactType": "application/spdx+json",
        "annotations": {"a": "b", "": ""},
        "urls": ["https://example.com/x"],
        "data": "e30=",
        "platform": {"architecture": "arm64", "os": "linux", "os.features": ["x"]},
    });
    let descriptor: Descriptor = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(serde_json::to_value(&descriptor).unwrap(), json);
}

#[test]
fn members_that_go_writes_as_null_are_empty() {
    let json = json!({
        "mediaType": "a/b", "digest": digest(), "size": 2,
        "annotations": null, "urls": null, "data": null, "platform": null, "artifactType": null,
    });
    let descriptor: Descriptor = serde_json::from_value(json).unwrap();
    assert_eq!(
        descriptor,
        Descriptor::new(MediaType::parse("a/b").unwrap(), digest(), 2)
    );
}

#[test]
fn sizes_are_whole_numbers_that_fit_a_signed_one() {
    let with = |size: &str| {
        serde_json::from_str::<Descriptor>(&format!(
            r#"{{"mediaType":"a/b","digest":"{}","size":{size}}}"#,
            digest()
        ))
    };
    assert_eq!(
        with("9223372036854775807").unwrap().size,
        i64::MAX.unsigned_abs()
    );
    for size in [
        "9223372036854775808",
        "-1",
        "1.0",
        "1e2",
        "\"2\"",
        "null",
        "true",
    ] {
        assert!(with(size).is_err(), "{size}");
    }
}

#[test]
fn what_is_to_be_had_elsewhere_may_be_absent() {
    let mut layer = Descriptor::new(MediaType::OCI_LAYER, digest(), 2);
    assert!(!layer.may_be_absent());
    layer.urls = vec!["https://example.com/x".to_owned()];
    assert!(layer.may_be_absent());
    assert!(Descriptor::new(MediaType::DOCKER_LAYER_FOREIGN_GZIP, digest(), 2).may_be_absent());
    assert!(Descriptor::new(MediaType::OCI_LAYER_NONDISTRIBUTABLE, digest(), 2).may_be_absent());
}
