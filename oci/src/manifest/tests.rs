use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{ErrorCode, strategies};

fn digest(of: &str) -> Digest {
    Digest::of(Algorithm::Sha256, of.as_bytes())
}

fn described(media_type: &MediaType, of: &str) -> Value {
    json!({"mediaType": media_type, "digest": digest(of), "size": of.len()})
}

fn image() -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": described(&MediaType::OCI_CONFIG, "config"),
        "layers": [described(&MediaType::OCI_LAYER_GZIP, "layer")],
    })
}

fn index() -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_INDEX,
        "manifests": [described(&MediaType::OCI_MANIFEST, "child")],
    })
}

/// The image with one member more or other.
fn with(mut body: Value, name: &str, value: Value) -> Value {
    body[name] = value;
    body
}

fn without(mut body: Value, name: &str) -> Value {
    body.as_object_mut().unwrap().remove(name);
    body
}

fn parse(body: &Value, media_type: &MediaType) -> Result<Manifest, InvalidManifest> {
    parse_text(&body.to_string(), media_type)
}

fn parse_text(body: &str, media_type: &MediaType) -> Result<Manifest, InvalidManifest> {
    let body = Bytes::copy_from_slice(body.as_bytes());
    Manifest::parse(body, Some(media_type), Algorithm::Sha256)
}

fn own(text: &str) -> MediaType {
    MediaType::parse(text).unwrap()
}

#[test]
fn an_image_names_its_config_and_layers() {
    let body = image().to_string();
    let manifest = parse_text(&body, &MediaType::OCI_MANIFEST).unwrap();
    assert_eq!(manifest.bytes(), body.as_bytes());
    assert_eq!(manifest.digest(), digest(&body));
    assert_eq!(manifest.kind(), ManifestKind::Image);
    assert_eq!(manifest.config().unwrap().digest, digest("config"));
    assert_eq!(manifest.layers()[0].digest, digest("layer"));
    assert!(manifest.children().is_empty() && manifest.subject().is_none());
    assert_eq!(
        manifest.artifact_type(),
        Some(MediaType::OCI_CONFIG.as_str())
    );
    let required: Vec<_> = manifest.required_blobs().map(|blob| blob.digest).collect();
    assert_eq!(required, [digest("config"), digest("layer")]);
}

#[test]
fn an_index_names_its_children_and_needs_none() {
    let manifest = parse(&index(), &MediaType::OCI_INDEX).unwrap();
    assert_eq!(manifest.kind(), ManifestKind::Index);
    assert_eq!(manifest.children()[0].digest, digest("child"));
    assert_eq!(manifest.required_blobs().count(), 0);
    assert_eq!(manifest.artifact_type(), None);
    let empty = with(index(), "manifests", json!([]));
    assert!(
        parse(&empty, &MediaType::OCI_INDEX)
            .unwrap()
            .children()
            .is_empty()
    );
}

#[test]
fn docker_images_and_lists_are_the_same_under_other_names() {
    let body = with(image(), "mediaType", json!(MediaType::DOCKER_MANIFEST));
    assert_eq!(
        parse(&body, &MediaType::DOCKER_MANIFEST).unwrap().kind(),
        ManifestKind::Image
    );
    let body = with(index(), "mediaType", json!(MediaType::DOCKER_LIST));
    assert_eq!(
        parse(&body, &MediaType::DOCKER_LIST).unwrap().kind(),
        ManifestKind::Index
    );
}

/// Reloading from bytes alone would make it an OCI manifest.
#[test]
fn a_docker_manifest_must_name_itself() {
    for said in [json!(null), json!("")] {
        let body = with(image(), "mediaType", said);
        assert!(parse(&body, &MediaType::DOCKER_MANIFEST).is_err());
        assert!(parse(&body, &MediaType::OCI_MANIFEST).is_ok());
    }
    let body = without(image(), "mediaType");
    assert!(parse(&body, &MediaType::DOCKER_MANIFEST).is_err());
}

#[test]
fn a_referrer_says_what_it_is_and_about_what() {
    let subject = described(&MediaType::OCI_MANIFEST, "subject");
    let body = with(image(), "subject", subject);
    let body = with(body, "annotations", json!({"org.example": "x"}));
    let body = with(body, "artifactType", json!("application/spdx+json"));
    let manifest = parse(&body, &MediaType::OCI_MANIFEST).unwrap();
    assert_eq!(manifest.subject().unwrap().digest, digest("subject"));
    let entry = manifest.descriptor();
    assert_eq!(
        entry.artifact_type.as_deref(),
        Some("application/spdx+json")
    );
    assert_eq!(entry.annotations["org.example"], "x");
    assert_eq!(
        (entry.digest, entry.size),
        (manifest.digest(), manifest.bytes().len() as u64)
    );
    assert_eq!(entry.media_type, MediaType::OCI_MANIFEST);

    let unnamed = with(body.clone(), "artifactType", json!(""));
    let unnamed = parse(&unnamed, &MediaType::OCI_MANIFEST).unwrap();
    assert_eq!(
        unnamed.artifact_type(),
        Some(MediaType::OCI_CONFIG.as_str())
    );

    let index = with(
        index(),
        "subject",
        described(&MediaType::OCI_MANIFEST, "subject"),
    );
    let index = parse(&index, &MediaType::OCI_INDEX).unwrap();
    assert_eq!(
        (index.subject().is_some(), index.descriptor().artifact_type),
        (true, None)
    );
}

/// Conformance: layers that may not be distributed need not be pushed.
#[test]
fn layers_to_be_had_elsewhere_are_not_required() {
    let mut linked = described(&MediaType::OCI_LAYER, "linked");
    linked["urls"] = json!(["https://example.com/layer"]);
    let layers = json!([
        described(&MediaType::OCI_LAYER_NONDISTRIBUTABLE, "a"),
        described(&MediaType::OCI_LAYER_NONDISTRIBUTABLE_ZSTD, "b"),
        described(&MediaType::DOCKER_LAYER_FOREIGN_GZIP, "c"),
        linked,
        described(&MediaType::OCI_LAYER, "here"),
    ]);
    let manifest = parse(&with(image(), "layers", layers), &MediaType::OCI_MANIFEST).unwrap();
    let required: Vec<_> = manifest.required_blobs().map(|blob| blob.digest).collect();
    assert_eq!(required, [digest("config"), digest("here")]);
    assert_eq!(manifest.layers().len(), 5);
}

#[test]
fn unusual_but_legal_manifests_are_taken() {
    let legal = [
        with(image(), "layers", json!([])),
        with(image(), "layers", json!(null)),
        without(image(), "layers"),
        without(image(), "mediaType"),
        with(image(), "annotations", json!(null)),
        with(
            image(),
            "org.example.custom",
            json!({"deep": [{"a": 1, "a2": null}]}),
        ),
        with(image(), "Custom", json!(1)),
    ];
    for body in legal {
        parse(&body, &MediaType::OCI_MANIFEST).unwrap_or_else(|error| panic!("{body}: {error}"));
    }
    let mut embedded = image();
    embedded["config"]["data"] = json!("Y29uZmln");
    embedded["config"]["custom"] = json!([1]);
    let manifest = parse(&embedded, &MediaType::OCI_MANIFEST).unwrap();
    assert_eq!(manifest.config().unwrap().data.as_deref(), Some("Y29uZmln"));
}

#[test]
fn a_manifest_over_four_mebibytes_is_taken_and_one_over_the_limit_is_not() {
    let mut body = image();
    let lines: serde_json::Map<_, _> = (0..410)
        .map(|i| (format!("org.example.{i}"), json!("x".repeat(10_240))))
        .collect();
    body["annotations"] = Value::Object(lines);
    let manifest = parse(&body, &MediaType::OCI_MANIFEST).unwrap();
    assert!(manifest.bytes().len() > 4 << 20);
    body["annotations"]["more"] = json!("x".repeat(MAX_MANIFEST_BYTES));
    let error = parse(&body, &MediaType::OCI_MANIFEST).unwrap_err();
    assert_eq!(error, InvalidManifest::TooLarge);
    assert_eq!(error.status(), http::StatusCode::PAYLOAD_TOO_LARGE);
}

/// T40, CVE-2021-41190: no bytes are an image to one reader and an index to another.
#[test]
fn t40_bodies_that_are_two_things_are_refused() {
    let child = json!([described(&MediaType::OCI_MANIFEST, "child")]);
    let layers = json!([described(&MediaType::OCI_LAYER, "layer")]);
    let config = described(&MediaType::OCI_CONFIG, "config");
    let cases = [
        (
            with(image(), "manifests", child.clone()),
            MediaType::OCI_MANIFEST,
        ),
        (
            with(image(), "manifests", json!([])),
            MediaType::OCI_MANIFEST,
        ),
        (
            with(image(), "manifests", json!(null)),
            MediaType::OCI_MANIFEST,
        ),
        (
            with(index(), "layers", layers.clone()),
            MediaType::OCI_INDEX,
        ),
        (with(index(), "config", config), MediaType::OCI_INDEX),
        (with(index(), "fsLayers", json!([])), MediaType::OCI_INDEX),
        (
            json!({"manifests": [], "layers": []}),
            own("application/vnd.example+json"),
        ),
        (
            json!({"manifests": null, "layers": []}),
            own("application/vnd.example+json"),
        ),
        (
            json!({"manifests": [], "config": {}}),
            own("application/vnd.example"),
        ),
        // Known types with the members of the other alone.
        (
            without(with(index(), "layers", layers), "manifests"),
            MediaType::OCI_INDEX,
        ),
        (
            json!({"schemaVersion": 2, "manifests": child}),
            MediaType::OCI_MANIFEST,
        ),
    ];
    for (body, media_type) in cases {
        let error = parse(&body, &media_type).unwrap_err();
        assert!(
            matches!(error, InvalidManifest::Ambiguous(_)),
            "{body}: {error}"
        );
        assert_eq!(error.code(), ErrorCode::ManifestInvalid);
    }
}

#[test]
fn body_and_header_must_name_one_type() {
    let cases = [
        (image(), MediaType::OCI_INDEX),
        (image(), MediaType::DOCKER_MANIFEST),
        (image(), MediaType::JSON),
        (index(), MediaType::OCI_MANIFEST),
        (index(), own("application/vnd.example+json")),
        (
            with(image(), "mediaType", json!(7)),
            MediaType::OCI_MANIFEST,
        ),
        (
            with(image(), "mediaType", json!("nonsense")),
            MediaType::OCI_MANIFEST,
        ),
    ];
    for (body, media_type) in cases {
        let error = parse(&body, &media_type).unwrap_err();
        assert!(
            matches!(error, InvalidManifest::MediaTypeMismatch { .. }),
            "{body}: {error}"
        );
    }
}

#[test]
fn names_given_twice_are_refused_wherever_they_mean_something() {
    let image = image().to_string();
    let (config, layer) = (digest("config").to_string(), digest("layer").to_string());
    let twice = |at: &str, member: &str| {
        assert!(image.contains(at), "{at}");
        image.replacen(at, &format!("{member},{at}"), 1)
    };
    let bodies = [
        twice("\"layers\":", "\"layers\":[]"),
        twice("\"schemaVersion\":", "\"schemaVersion\":2"),
        twice(
            "\"mediaType\":\"application/vnd.oci.image.manifest",
            "\"mediaType\":\"a/b\"",
        ),
        twice("\"layers\":", "\"custom\":1,\"custom\":1"),
        twice("\"layers\":", "\"\\u006cayers\":[]"),
        twice("\"layers\":", "\"Layers\":[]"),
        twice("\"layers\":", "\"LAYERS\":[]"),
        twice("\"layers\":", "\"layer\u{17F}\":[]"),
        twice("\"layers\":", "\"Manifests\":[]"),
        twice("\"layers\":", "\"manife\u{17F}ts\":[]"),
        twice("\"layers\":", "\"MediaType\":\"a/b\""),
        twice("\"layers\":", "\"annotations\":{\"a\":\"1\",\"a\":\"2\"}"),
        twice(
            &format!("\"digest\":\"{config}\""),
            &format!("\"digest\":\"{config}\""),
        ),
        twice(
            &format!("\"digest\":\"{config}\""),
            &format!("\"Digest\":\"{layer}\""),
        ),
        twice(
            &format!("\"digest\":\"{layer}\""),
            &format!("\"digest\":\"{config}\""),
        ),
        twice(&format!("\"digest\":\"{layer}\""), "\"\u{17F}ize\":1"),
        twice(&format!("\"digest\":\"{layer}\""), "\"x\":1,\"x\":2"),
        twice(
            &format!("\"digest\":\"{layer}\""),
            "\"annotations\":{\"a\":\"1\",\"a\":\"2\"}",
        ),
        twice(
            &format!("\"digest\":\"{layer}\""),
            "\"platform\":{\"os\":\"a\",\"os\":\"b\"}",
        ),
        twice(
            &format!("\"digest\":\"{layer}\""),
            "\"platform\":{\"OS\":\"a\"}",
        ),
    ];
    for body in bodies {
        let error = parse_text(&body, &MediaType::OCI_MANIFEST).unwrap_err();
        assert!(
            matches!(error, InvalidManifest::Ambiguous(_)),
            "{body}: {error}"
        );
        // A type that nobody knows is no way around the rule.
        let unknown = body.replace("vnd.oci.image.manifest.v1", "vnd.example");
        let error = parse_text(&unknown, &own("application/vnd.example+json")).unwrap_err();
        assert!(
            matches!(error, InvalidManifest::Ambiguous(_)),
            "{unknown}: {error}"
        );
    }
}

#[test]
fn what_is_not_plainly_json_is_refused() {
    let image = image().to_string();
    let bodies = [
        String::new(),
        "null".to_owned(),
        "[]".to_owned(),
        "\"x\"".to_owned(),
        "{".to_owned(),
        format!("\u{feff}{image}"),
        format!("{image}{image}"),
        format!("{image}x"),
        format!("{image}\0"),
        format!("[{image}]"),
        image.replacen('{', "{,", 1),
        image.replacen('{', "{/**/", 1),
        image.replacen('}', ",}", 1),
        image.replace('"', "'"),
    ];
    for body in bodies {
        let error = parse_text(&body, &MediaType::OCI_MANIFEST).unwrap_err();
        assert!(
            matches!(error, InvalidManifest::Json(_)),
            "{body:?}: {error:?}"
        );
    }
    let body = Bytes::from([b"{\"x\":\"", &[0xff][..], b"\"}"].concat());
    let error = Manifest::parse(body, Some(&MediaType::OCI_MANIFEST), Algorithm::Sha256);
    assert!(matches!(error, Err(InvalidManifest::Json(_))));
}

#[test]
fn shapes_that_a_known_type_forbids_are_refused_with_their_place() {
    let mut bad_layer = image();
    bad_layer["layers"][0]["digest"] = json!("sha256:../../x");
    let cases = [
        (bad_layer, "layers[0]"),
        (without(image(), "config"), "config"),
        (with(image(), "config", json!(null)), "config"),
        (with(image(), "config", json!({})), "config"),
        (with(image(), "layers", json!({})), "layers"),
        (with(image(), "layers", json!([1])), "layers[0]"),
        (with(image(), "schemaVersion", json!(1)), "schemaVersion"),
        (with(image(), "schemaVersion", json!(2.0)), "schemaVersion"),
        (with(image(), "schemaVersion", json!("2")), "schemaVersion"),
        (without(image(), "schemaVersion"), "schemaVersion"),
        (with(image(), "subject", json!("x")), "subject"),
        (with(image(), "annotations", json!({"a": 1})), "annotations"),
        (
            with(image(), "annotations", json!([])),
            "manifest.annotations",
        ),
        (with(image(), "artifactType", json!(1)), "artifactType"),
    ];
    for (body, place) in cases {
        let error = parse(&body, &MediaType::OCI_MANIFEST).unwrap_err();
        assert!(
            matches!(&error, InvalidManifest::Field { at, .. } if at == place),
            "{body}: {error:?}"
        );
    }
    let error = parse(&without(index(), "manifests"), &MediaType::OCI_INDEX).unwrap_err();
    assert!(matches!(error, InvalidManifest::Field { at, .. } if at == "manifests"));
}

#[test]
fn schema_1_is_refused_and_says_how_to_go_on() {
    let body = json!({"schemaVersion": 1, "fsLayers": [], "history": [], "signatures": []});
    let mut named = body.clone();
    named["mediaType"] = json!(MediaType::DOCKER_SCHEMA1_SIGNED);
    for (body, media_type) in [
        (&body, MediaType::DOCKER_SCHEMA1),
        (&body, MediaType::DOCKER_SCHEMA1_SIGNED),
        (&body, MediaType::JSON),
        (&named, MediaType::OCI_MANIFEST),
    ] {
        assert_eq!(
            parse(body, &media_type).unwrap_err(),
            InvalidManifest::Schema1
        );
    }
    assert!(InvalidManifest::Schema1.to_string().contains("skopeo"));
}

#[test]
fn limits_hold() {
    let layer = described(&MediaType::OCI_LAYER, "l");
    let layers = |count: usize| with(image(), "layers", Value::Array(vec![layer.clone(); count]));
    // The config is one of them.
    assert!(parse(&layers(MAX_DESCRIPTORS - 1), &MediaType::OCI_MANIFEST).is_ok());
    let error = parse(&layers(MAX_DESCRIPTORS), &MediaType::OCI_MANIFEST).unwrap_err();
    assert_eq!(error, InvalidManifest::TooManyDescriptors);

    let nested = |depth: usize| {
        let custom = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        image()
            .to_string()
            .replacen('{', &format!("{{\"custom\":{custom},"), 1)
    };
    assert!(parse_text(&nested(MAX_DEPTH - 1), &MediaType::OCI_MANIFEST).is_ok());
    for depth in [MAX_DEPTH, 1_000_000] {
        let error = parse_text(&nested(depth), &MediaType::OCI_MANIFEST).unwrap_err();
        assert_eq!(error, InvalidManifest::TooDeep);
    }
    // Brackets in strings are none.
    let quoted = with(image(), "custom", json!("[{\\\"".repeat(1_000)));
    assert!(parse(&quoted, &MediaType::OCI_MANIFEST).is_ok());

    let many = with(
        image(),
        "custom",
        Value::Array(vec![json!(0); MAX_VALUES + 1]),
    );
    let error = parse(&many, &MediaType::OCI_MANIFEST).unwrap_err();
    assert_eq!(error, InvalidManifest::TooManyValues);
}

#[test]
fn any_type_is_a_manifest_if_the_client_says_so() {
    let own_json = own("application/vnd.example.thing.v1+json");
    let body = json!({"layers": ["not a descriptor"], "config": 7, "subject": [], "annotations": {"a": 1}});
    let manifest = parse(&body, &own_json).unwrap();
    assert_eq!(
        (manifest.kind(), manifest.media_type()),
        (ManifestKind::Other, &own_json)
    );
    assert!(
        manifest.layers().is_empty() && manifest.config().is_none() && manifest.subject().is_none()
    );

    let linked = with(
        with(image(), "mediaType", json!(own_json)),
        "subject",
        described(&MediaType::OCI_MANIFEST, "s"),
    );
    let manifest = parse(&linked, &own_json).unwrap();
    assert_eq!(
        (manifest.layers().len(), manifest.required_blobs().count()),
        (1, 2)
    );
    assert_eq!(manifest.subject().unwrap().digest, digest("s"));

    let opaque = parse_text("kind: Thing\n", &own("application/yaml")).unwrap();
    assert_eq!(
        (opaque.kind(), opaque.required_blobs().count()),
        (ManifestKind::Other, 0)
    );
    assert!(parse_text("kind: Thing\n", &own_json).is_err());
}

#[test]
fn the_withdrawn_artifact_manifest_is_read() {
    let body = json!({
        "mediaType": MediaType::OCI_ARTIFACT,
        "artifactType": "application/spdx+json",
        "blobs": [described(&own("application/spdx+json"), "sbom")],
        "subject": described(&MediaType::OCI_MANIFEST, "subject"),
    });
    let manifest = parse(&body, &MediaType::OCI_ARTIFACT).unwrap();
    assert_eq!(
        (manifest.kind(), manifest.required_blobs().count()),
        (ManifestKind::Artifact, 1)
    );
    assert_eq!(manifest.artifact_type(), Some("application/spdx+json"));
}

/// T30: what lists repeat is bounded, whatever the media type is.
#[test]
fn t30_an_artifact_type_is_bounded() {
    for media_type in [
        MediaType::OCI_MANIFEST,
        own("application/vnd.example.thing.v1+json"),
    ] {
        let of = |length: usize| {
            let body = json!({
                "schemaVersion": 2,
                "mediaType": media_type,
                "artifactType": "a/".repeat(length / 2),
                "config": described(&MediaType::OCI_EMPTY, "{}"),
                "layers": [],
            });
            parse(&body, &media_type)
        };
        of(254).unwrap();
        assert!(matches!(of(256), Err(InvalidManifest::Field { at, .. }) if at == "artifactType"));
    }
}

/// T40: a push by digest must be of that digest.
#[test]
fn t40_the_digest_must_match() {
    let body = image().to_string();
    for algorithm in Algorithm::ALL {
        let right = Digest::of(algorithm, body.as_bytes());
        let wrong = Digest::of(algorithm, b"other");
        let bytes = Bytes::from(body.clone());
        let parse =
            |expected| Manifest::parse(bytes.clone(), Some(&MediaType::OCI_MANIFEST), expected);
        assert_eq!(parse(right).unwrap().digest(), right);
        let error = parse(wrong).unwrap_err();
        assert_eq!(error, InvalidManifest::DigestMismatch { actual: right });
        assert_eq!(error.code(), ErrorCode::DigestInvalid);
    }
}

#[test]
fn bytes_alone_tell_the_type() {
    let infer = |body: &Value| inferred_media_type(body.to_string().as_bytes());
    assert_eq!(infer(&image()), Some(MediaType::OCI_MANIFEST));
    assert_eq!(
        infer(&without(image(), "mediaType")),
        Some(MediaType::OCI_MANIFEST)
    );
    assert_eq!(
        infer(&without(index(), "mediaType")),
        Some(MediaType::OCI_INDEX)
    );
    assert_eq!(infer(&json!({"mediaType": "a/b"})), Some(own("a/b")));
    assert_eq!(
        infer(&json!({"schemaVersion": 1, "fsLayers": []})),
        Some(MediaType::DOCKER_SCHEMA1)
    );
    assert_eq!(infer(&json!({"x": 1})), None);
    assert_eq!(inferred_media_type(b"kind: Thing"), None);

    let bytes = Bytes::from(index().to_string());
    let manifest = Manifest::parse(bytes, None, Algorithm::Sha256).unwrap();
    assert_eq!(manifest.media_type(), &MediaType::OCI_INDEX);
    let error = Manifest::parse(Bytes::from_static(b"{}"), None, Algorithm::Sha256).unwrap_err();
    assert_eq!(error, InvalidManifest::NoMediaType);
}

fn media_type() -> impl Strategy<Value = MediaType> {
    let types = [
        MediaType::OCI_MANIFEST,
        MediaType::OCI_INDEX,
        MediaType::OCI_ARTIFACT,
        MediaType::DOCKER_MANIFEST,
        MediaType::DOCKER_LIST,
        own("application/vnd.example+json"),
        own("application/vnd.example"),
    ];
    proptest::sample::select(types.to_vec())
}

/// JSON whose members are those of manifests and descriptors, with values of any shape.
fn near_manifest() -> impl Strategy<Value = String> {
    let name = proptest::sample::select(vec![
        "schemaVersion",
        "mediaType",
        "config",
        "layers",
        "manifests",
        "blobs",
        "subject",
        "annotations",
        "digest",
        "size",
        "platform",
        "urls",
        "data",
        "artifactType",
        "fsLayers",
        "Layers",
        "x",
    ]);
    let leaf = prop_oneof![
        Just("2".to_owned()),
        Just("null".to_owned()),
        Just("\"application/vnd.oci.image.index.v1+json\"".to_owned()),
        strategies::digest().prop_map(|digest| format!("\"{digest}\"")),
        "[0-9e.-]{1,6}",
        strategies::hostile().prop_map(|text| json!(text).to_string()),
        "[\\[\\]{},:\"]{0,4}",
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5)
                .prop_map(|items| format!("[{}]", items.join(","))),
            proptest::collection::vec((name.clone(), inner), 0..7).prop_map(|members| {
                let members: Vec<String> = members
                    .iter()
                    .map(|(name, value)| format!("\"{name}\":{value}"))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_body_is_read_or_refused(
        body in prop_oneof![near_manifest().prop_map(String::into_bytes), proptest::collection::vec(any::<u8>(), 0..200)],
        media_type in proptest::option::of(media_type()),
    ) {
        let bytes = Bytes::from(body);
        inferred_media_type(&bytes);
        if let Ok(manifest) = Manifest::parse(bytes.clone(), media_type.as_ref(), Algorithm::Sha256) {
            prop_assert_eq!(manifest.bytes(), &bytes);
            prop_assert_eq!(manifest.digest(), Digest::of(Algorithm::Sha256, &bytes));
            prop_assert!(manifest.children().is_empty() || manifest.layers().is_empty());
        }
    }

    /// One byte changed in a real manifest: never a panic, never another reading of the same bytes.
    #[test]
    fn a_stored_manifest_reads_the_same_again(
        is_index in any::<bool>(),
        at in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let (body, media_type) =
            if is_index { (index(), MediaType::OCI_INDEX) } else { (image(), MediaType::OCI_MANIFEST) };
        let mut body = body.to_string().into_bytes();
        let at = at.index(body.len());
        body[at] = byte;
        let body = Bytes::from(body);
        if let Ok(manifest) = Manifest::parse(body.clone(), Some(&media_type), Algorithm::Sha256) {
            let inferred = inferred_media_type(&body);
            prop_assert_eq!(inferred.as_ref(), Some(&media_type));
            let again = Manifest::parse(body, inferred.as_ref(), manifest.digest()).unwrap();
            prop_assert_eq!(again.config(), manifest.config());
            prop_assert_eq!(again.layers(), manifest.layers());
            prop_assert_eq!(again.children(), manifest.children());
        }
    }
}
