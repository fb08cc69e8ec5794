use proptest::prelude::*;

use super::{InvalidTag, Tag};
use crate::{Algorithm, Digest, InvalidReference, Reference, strategies};

#[test]
fn only_tags_of_the_grammar_are_taken() {
    let longest = "t".repeat(128);
    for text in [
        "a",
        "_",
        "0",
        "V1.2.3",
        "a.-_",
        "sha256-ab",
        "list",
        &longest,
    ] {
        assert!(Tag::parse(text).is_ok(), "{text:?}");
    }
    let too_long = "t".repeat(129);
    for text in [
        "",
        ".",
        "..",
        ".INVALID_MANIFEST_NAME",
        "-a",
        "a b",
        "a/b",
        "a:b",
        "a+b",
        "é",
        "a\0",
        &too_long,
    ] {
        assert_eq!(Tag::parse(text), Err(InvalidTag), "{text:?}");
    }
}

#[test]
fn the_fallback_tag_of_a_sha256_subject_leads_back_to_it() {
    let subject = Digest::of(Algorithm::Sha256, b"subject");
    let tag = Tag::referrers_of(&subject);
    assert_eq!(tag.as_str(), format!("sha256-{}", subject.hex()));
    assert_eq!(tag.as_referrers_fallback(), Some(subject));
}

/// distribution-spec, "Referrers Tag Schema": the encoded part is cut to 64 characters.
#[test]
fn the_fallback_tag_of_a_sha512_subject_is_cut() {
    let subject = Digest::of(Algorithm::Sha512, b"subject");
    let tag = Tag::referrers_of(&subject);
    assert_eq!(tag.as_str(), format!("sha512-{}", &subject.hex()[..64]));
    assert_eq!(tag.as_referrers_fallback(), None);
}

#[test]
fn other_tags_are_no_fallback() {
    let hex = Digest::of(Algorithm::Sha256, b"").hex();
    let near = [
        "latest".to_owned(),
        format!("sha256-{}", &hex[1..]),
        format!("sha256-{hex}.sig"),
        format!("sha256-{}", hex.to_uppercase()),
        format!("sha256_{hex}"),
    ];
    for text in near {
        assert_eq!(
            Tag::parse(&text).unwrap().as_referrers_fallback(),
            None,
            "{text}"
        );
    }
}

#[test]
fn what_holds_a_colon_can_only_be_a_digest() {
    assert!(matches!(
        Reference::parse("sha256:x"),
        Err(InvalidReference::Digest(_))
    ));
    assert!(matches!(
        Reference::parse(".x"),
        Err(InvalidReference::Tag(_))
    ));
    let digest = Digest::of(Algorithm::Sha256, b"");
    // `tag@digest` is for clients to take apart.
    assert!(Reference::parse(&format!("v1@{digest}")).is_err());
}

proptest! {
    #[test]
    fn tags_come_back(tag in strategies::tag()) {
        prop_assert_eq!(&Tag::parse(tag.as_str()).unwrap(), &tag);
        let json = serde_json::to_string(&tag).unwrap();
        prop_assert_eq!(serde_json::from_str::<Tag>(&json).unwrap(), tag);
    }

    #[test]
    fn every_fallback_tag_is_a_tag(digest in strategies::digest()) {
        let tag = Tag::referrers_of(&digest);
        prop_assert_eq!(Tag::parse(tag.as_str()), Ok(tag));
    }

    #[test]
    fn references_come_back(reference in strategies::reference()) {
        prop_assert_eq!(Reference::parse(&reference.to_string()), Ok(reference));
    }

    #[test]
    fn what_parses_is_what_was_written(text in strategies::hostile()) {
        if let Ok(reference) = Reference::parse(&text) {
            prop_assert_eq!(reference.to_string(), text);
        }
    }
}
