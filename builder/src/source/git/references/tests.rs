use super::*;

#[test]
fn what_a_server_lists_is_read() {
    let id = |digit: &str| ObjectId::parse(&digit.repeat(40)).unwrap();
    let line = |digit: &str, name: &str| format!("{}\t{name}\n", digit.repeat(40));
    let listed = [
        "ref: refs/heads/main\tHEAD\n".to_owned(),
        line("1", "HEAD"),
        line("1", "refs/heads/main"),
        line("2", "refs/heads/-x"),
        line("3", "refs/heads/a/b"),
        line("4", "refs/tags/v1"),
        line("5", "refs/tags/v1^{}"),
        line("6", "refs/tags/v2"),
        line("7", "refs/pull/1/head"),
        "nonsense\n".to_owned(),
    ];
    let found = References::of(&Listing::printed(&listed.concat()));
    assert_eq!(found.default_branch().unwrap().as_str(), "main");
    let names: Vec<_> = found.branches().keys().map(RefName::as_str).collect();
    assert_eq!(names, ["a/b", "main"]);
    for (revision, commit) in [
        ("", Some("1")),
        ("a/b", Some("3")),
        ("v1", Some("5")),
        ("refs/tags/v2", Some("6")),
        ("refs/heads/v2", None),
        ("7777777777777777777777777777777777777777", Some("7")),
    ] {
        let revision = revision.parse().unwrap();
        assert_eq!(
            found.commit(&revision).cloned(),
            commit.map(id),
            "{revision:?}"
        );
    }
}
