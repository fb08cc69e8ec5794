use proptest::prelude::*;

use super::*;

fn repository(name: &str, actions: &[Action]) -> Scope {
    Scope::Repository {
        name: RepoName::parse(name).unwrap(),
        actions: actions.iter().copied().collect(),
    }
}

#[test]
fn scopes_of_every_client() {
    use Action::{Create, Delete, Get, Update};
    for (text, scope) in [
        ("repository:a/b:pull", repository("a/b", &[Get])),
        (
            "repository:a/b:pull,push",
            repository("a/b", &[Get, Create, Update]),
        ),
        (
            "repository:a/b:push,pull",
            repository("a/b", &[Get, Create, Update]),
        ),
        ("repository:a/b:retag", repository("a/b", &[Update])),
        ("repository:a/b:delete", repository("a/b", &[Delete])),
        ("repository:a/b:*", repository("a/b", &Action::ALL)),
        (
            "repository:a/b:pull,metadata_read",
            repository("a/b", &[Get]),
        ),
        ("repository:a/b:", repository("a/b", &[])),
        ("repository:a/b:PULL", repository("a/b", &[])),
        ("repository(plugin):a/b:pull", repository("a/b", &[Get])),
        ("registry:catalog:*", Scope::Catalog),
        ("registry:catalog:pull", Scope::Other),
        ("registry:config:*", Scope::Other),
        ("artifact-repository:a/b:pull", Scope::Other),
    ] {
        assert_eq!(Scope::parse(text), Ok(scope), "{text}");
    }
}

#[test]
fn what_is_no_scope() {
    for text in [
        "",
        "a",
        "repository",
        "repository:a",
        "repository::pull",
        ":a:pull",
        "(x):a:pull",
    ] {
        assert_eq!(Scope::parse(text), Err(InvalidScope::Malformed), "{text}");
    }
    assert_eq!(
        Scope::parse("repository(plugin:a:pull"),
        Err(InvalidScope::Malformed)
    );
    // The actions stand behind the last colon, so a port belongs to the name, which then is none.
    for name in [
        "host:5000/a",
        "*",
        "a/*",
        "../a",
        "A",
        "a//b",
        "a/",
        "/a",
        "a%2fb",
    ] {
        let text = format!("repository:{name}:pull");
        assert_eq!(Scope::parse(&text), Err(InvalidScope::Repository), "{text}");
    }
}

#[test]
fn several_in_one_parameter_and_over_several() {
    let parsed = Scope::parse_all([
        "repository:a:pull repository:b:pull",
        "",
        "registry:catalog:*",
    ]);
    let expected = [
        repository("a", &[Action::Get]),
        repository("b", &[Action::Get]),
        Scope::Catalog,
    ];
    assert_eq!(parsed.unwrap(), expected);
    assert_eq!(Scope::parse_all([]), Ok(vec![]));
}

#[test]
fn no_more_than_the_limit() {
    let many = vec!["repository:a:pull"; MAX_SCOPES];
    assert_eq!(Scope::parse_all(many.clone()).unwrap().len(), MAX_SCOPES);
    let one_more = many.iter().copied().chain(["repository:a:pull"]);
    assert_eq!(Scope::parse_all(one_more), Err(InvalidScope::TooMany));
    assert_eq!(
        Scope::parse_all([&*vec!["a:b:c"; 33].join(" ")]),
        Err(InvalidScope::TooMany)
    );
}

#[test]
fn access_holds_for_exactly_one_repository() {
    let name = |text| RepoName::parse(text).unwrap();
    let mut access = Access::default();
    access.add(name("a/b"), Actions::NONE.with(Action::Get));
    access.add(name("a/b"), Actions::NONE.with(Action::Create));
    access.add(name("c"), Actions::NONE);
    assert_eq!(access.repositories().len(), 1);
    for action in Action::ALL {
        let granted = matches!(action, Action::Get | Action::Create);
        assert_eq!(access.allows(action, &name("a/b")), granted, "{action}");
        for other in ["a", "a/b/c", "a/bb", "a/b-c", "b", "c", "x/a/b"] {
            assert!(!access.allows(action, &name(other)), "{action} {other}");
        }
    }
    assert!(!access.catalog());
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".{0,80}") {
        let _ = Scope::parse_all([&*text]);
        let _ = Scope::parse(&format!("repository:{text}"));
    }
}
