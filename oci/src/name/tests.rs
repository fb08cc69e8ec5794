use proptest::prelude::*;

use super::{InvalidName, RepoName};
use crate::strategies;

#[test]
fn names_of_the_grammar_are_taken() {
    let long = format!("a/{}", "b".repeat(253));
    for text in [
        "a",
        "0",
        "library/ubuntu",
        "a/blobs/b",
        "x/tags/list",
        "a.b",
        "a_b",
        "a__b",
        "a-b",
        "a-----b",
        "a.b_c__d--e/f",
        "v2/v2",
        "1/2/3/4/5/6/7/8/9",
        &long,
    ] {
        assert_eq!(RepoName::parse(text).unwrap().as_str(), text);
    }
}

#[test]
fn names_out_of_the_grammar_are_refused() {
    for text in [
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/..",
        "a/../b",
        "a/./b",
        ".a",
        "a.",
        "-a",
        "a-",
        "_a",
        "a_",
        "a..b",
        "a___b",
        "a._b",
        "a.-b",
        "a-_b",
        "A",
        "Library/x",
        "a b",
        "a\0",
        "a\\b",
        "a%2fb",
        "a:b",
        "a@b",
        "é",
        "a\n",
    ] {
        assert_eq!(
            RepoName::parse(text),
            Err(InvalidName::Malformed),
            "{text:?}"
        );
    }
    assert_eq!(RepoName::parse(""), Err(InvalidName::Empty));
    assert_eq!(RepoName::parse(&"a".repeat(256)), Err(InvalidName::TooLong));
    assert!(RepoName::parse(&"a".repeat(255)).is_ok());
}

#[test]
fn the_first_segment_is_the_namespace() {
    for (text, namespace, rest) in [("a", "a", ""), ("a/b", "a", "b"), ("a/b/c", "a", "b/c")] {
        let name = RepoName::parse(text).unwrap();
        assert_eq!((name.namespace(), name.rest()), (namespace, rest));
    }
}

#[test]
fn sources_lie_below_their_namespace() {
    let name = RepoName::of_sources("team", "app").unwrap();
    assert_eq!(name.as_str(), "team/sources/app");
    assert!(name.holds_sources());
    assert!(RepoName::of_sources("team", "../app").is_err());
    for name in [
        "team/sources",
        "sources/app",
        "team/app/sources/x",
        "team/sourcesx/y",
    ] {
        assert!(!RepoName::parse(name).unwrap().holds_sources(), "{name}");
    }
}

proptest! {
    #[test]
    fn text_and_json_come_back(name in strategies::repo()) {
        prop_assert_eq!(&RepoName::parse(name.as_str()).unwrap(), &name);
        let json = serde_json::to_string(&name).unwrap();
        prop_assert_eq!(serde_json::from_str::<RepoName>(&json).unwrap(), name);
    }

    #[test]
    fn names_order_by_bytes(a in strategies::repo(), b in strategies::repo()) {
        prop_assert_eq!(a.cmp(&b), a.as_str().as_bytes().cmp(b.as_str().as_bytes()));
    }

    #[test]
    fn no_name_leaves_its_folder(text in strategies::hostile()) {
        if let Ok(name) = RepoName::parse(&text) {
            prop_assert_eq!(name.as_str(), &text);
            prop_assert!(text.split('/').all(|segment| !segment.is_empty() && !segment.starts_with('.')));
            prop_assert!(text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\' && b != b'%'));
        }
    }
}
