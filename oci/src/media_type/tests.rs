use proptest::prelude::*;

use super::{InvalidMediaType, MediaType};
use crate::strategies;

#[test]
fn media_types_of_the_grammar_are_taken_as_written() {
    let longest = format!("{}/{}", "a".repeat(127), "b".repeat(127));
    for text in [
        "a/b",
        "application/vnd.cncf.helm.config.v1+json",
        "x/Y",
        "application/vnd.a!#$&-^_.+b",
        &longest,
    ] {
        assert_eq!(MediaType::parse(text).unwrap().as_str(), text);
    }
}

#[test]
fn other_text_is_refused() {
    let long = format!("{}/b", "a".repeat(128));
    for text in [
        "",
        "/",
        "a",
        "a/",
        "/b",
        "a/b/c",
        "a/b;c",
        "a/b c",
        " a/b",
        "+a/b",
        "a/.b",
        "a/b\r\nx: y",
        "é/b",
        &long,
    ] {
        assert_eq!(MediaType::parse(text), Err(InvalidMediaType), "{text:?}");
    }
}

#[test]
fn parameters_of_a_content_type_are_dropped() {
    for value in ["a/b", "a/b;charset=utf-8", " a/b ; charset=\"utf-8\"; x=y"] {
        assert_eq!(MediaType::from_content_type(value).unwrap().as_str(), "a/b");
    }
    assert!(MediaType::from_content_type("; a/b").is_err());
}

/// Else an index could be stored as "unknown" by us and read as an index by a client.
#[test]
fn known_types_are_recognised_in_any_case() {
    let shouted = MediaType::OCI_INDEX.as_str().to_uppercase();
    let index = MediaType::parse(&shouted).unwrap();
    assert_eq!(index, MediaType::OCI_INDEX);
    assert!(index.is_index());
}

#[test]
fn constants_are_valid_and_differ() {
    for (i, known) in MediaType::KNOWN.iter().enumerate() {
        assert_eq!(MediaType::parse(known.as_str()).as_ref(), Ok(known));
        assert!(!MediaType::KNOWN[..i].contains(known));
        let (kind, subtype) = known.as_str().split_once('/').unwrap();
        assert!(super::is_name(kind) && super::is_name(subtype), "{known}");
    }
}

#[test]
fn kinds_are_told_apart() {
    let is = |f: fn(&MediaType) -> bool| {
        MediaType::KNOWN
            .iter()
            .filter(|t| f(t))
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(
        is(MediaType::is_index),
        [MediaType::OCI_INDEX, MediaType::DOCKER_LIST]
    );
    assert_eq!(
        is(MediaType::is_image_manifest),
        [MediaType::OCI_MANIFEST, MediaType::DOCKER_MANIFEST]
    );
    assert_eq!(
        is(MediaType::is_non_distributable),
        [
            MediaType::OCI_LAYER_NONDISTRIBUTABLE,
            MediaType::OCI_LAYER_NONDISTRIBUTABLE_GZIP,
            MediaType::OCI_LAYER_NONDISTRIBUTABLE_ZSTD,
            MediaType::DOCKER_LAYER_FOREIGN,
            MediaType::DOCKER_LAYER_FOREIGN_GZIP,
        ]
    );
}

proptest! {
    #[test]
    fn what_parses_is_safe_in_a_header_and_comes_back(text in strategies::hostile()) {
        if let Ok(media_type) = MediaType::from_content_type(&text) {
            prop_assert!(media_type.as_str().bytes().all(|b| b.is_ascii_graphic()));
            prop_assert_eq!(MediaType::parse(media_type.as_str()), Ok(media_type));
        }
    }

    #[test]
    fn valid_text_comes_back(text in "[a-zA-Z0-9][a-zA-Z0-9.+-]{0,20}/[a-zA-Z0-9][a-zA-Z0-9.+-]{0,60}") {
        let media_type = MediaType::parse(&text).unwrap();
        let json = serde_json::to_string(&media_type).unwrap();
        prop_assert_eq!(serde_json::from_str::<MediaType>(&json).unwrap(), media_type);
    }
}
