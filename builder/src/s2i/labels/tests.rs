use super::*;

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
    pairs.iter().map(owned).collect()
}

#[test]
fn empty_values_are_left_out() {
    assert_eq!(generated(&Generated::default()), map(&[]));
    let of = Generated {
        tag: "shop/cart:v1",
        builder: "python:3",
        author_email: "nobody@example.com",
        commit: "c0ffee",
        ..Generated::default()
    };
    let expected = [
        ("io.k8s.display-name", "shop/cart:v1"),
        ("io.openshift.s2i.build.commit.id", "c0ffee"),
        ("io.openshift.s2i.build.image", "python:3"),
    ];
    assert_eq!(generated(&of), map(&expected));
}

#[test]
fn a_namespace_of_ones_own_and_an_author() {
    let of = Generated {
        namespace: Some("io.openshift."),
        display_name: "Cart",
        tag: "x",
        author_name: "Ann",
        author_email: "ann@example.com",
        ..Generated::default()
    };
    let expected = [
        ("io.k8s.display-name", "Cart"),
        ("io.openshift.build.commit.author", "Ann <ann@example.com>"),
    ];
    assert_eq!(generated(&of), map(&expected));
}

#[test]
fn messages_are_cut_as_git_cuts_them() {
    assert_eq!(cut(&"é".repeat(80)), "é".repeat(80));
    assert_eq!(cut(&"x".repeat(81)), "x".repeat(78) + "..");
}

#[test]
fn later_labels_win_and_too_many_are_refused() {
    let both = merged(&[&map(&[("a", "1"), ("b", "1")]), &map(&[("b", "2")])]);
    assert_eq!(both.unwrap(), map(&[("a", "1"), ("b", "2")]));
    let long = "x".repeat(MAX_LABEL_BYTES - 1);
    assert!(merged(&[&map(&[("a", &long)])]).is_ok());
    let refusal = merged(&[&map(&[("ab", &long)])]).unwrap_err();
    assert_eq!(refusal.reason(), Reason::ContainerCommitFailed);
}
