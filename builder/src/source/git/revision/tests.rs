use proptest::prelude::*;

use super::*;

fn name(text: &str) -> RefName {
    RefName::parse(text).unwrap()
}

#[test]
fn revisions_are_told_apart() {
    let id = "0123456789ABCDEF0123456789abcdef01234567";
    for (text, revision) in [
        ("", Revision::Default),
        ("main", Revision::Name(name("main"))),
        ("feature/a+b", Revision::Name(name("feature/a+b"))),
        ("refs/heads/v1", Revision::Branch(name("v1"))),
        ("refs/tags/v1", Revision::Tag(name("v1"))),
        (id, Revision::Commit(ObjectId::parse(id).unwrap())),
        ("0123456", Revision::Name(name("0123456"))),
    ] {
        assert_eq!(text.parse::<Revision>().unwrap(), revision, "{text}");
    }
    assert_eq!(ObjectId::parse(id).unwrap().as_str(), id.to_lowercase());
}

#[test]
fn what_git_could_read_as_something_else_is_refused() {
    for text in [
        "-x",
        "--upload-pack=touch /tmp/x",
        "a b",
        "a..b",
        "a:b",
        "a~1",
        "a^{}",
        "@",
        "HEAD@{1}",
        "*",
        "a\nb",
        "a\0",
        ".a",
        "a/.b",
        "a//b",
        "/a",
        "a/",
        "a.lock",
        "a.",
        "refs/heads/-x",
    ] {
        assert_eq!(text.parse::<Revision>(), Err(InvalidRevision), "{text:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// git-check-ref-format(1) is the oracle: what is taken here, git takes.
    #[test]
    fn git_takes_every_name_that_is_taken_here(text in "[-a-z./@{}~^:?*\\[\\\\ éA+_]{1,12}") {
        if RefName::parse(&text).is_ok() {
            let checked = std::process::Command::new("git")
                .args(["check-ref-format", &format!("refs/heads/{text}")])
                .status()
                .unwrap();
            prop_assert!(checked.success(), "{}", text);
        }
    }
}
