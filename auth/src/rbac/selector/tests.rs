use super::*;

fn labels(text: &[(&str, &str)]) -> BTreeMap<String, String> {
    text.iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn selector(yaml: &str) -> LabelSelector {
    serde_saphyr::from_str(yaml).unwrap()
}

#[test]
fn as_the_cluster_selects() {
    let a = labels(&[("a", "1")]);
    let none = labels(&[]);
    for (yaml, with_a, without) in [
        ("{}", true, true),
        ("{matchLabels: {}}", true, true),
        ("{matchLabels: {a: '1'}}", true, false),
        ("{matchLabels: {a: '2'}}", false, false),
        ("{matchLabels: {a: '1', b: '1'}}", false, false),
        (
            "{matchExpressions: [{key: a, operator: In, values: ['1', '2']}]}",
            true,
            false,
        ),
        (
            "{matchExpressions: [{key: a, operator: In, values: ['2']}]}",
            false,
            false,
        ),
        (
            "{matchExpressions: [{key: a, operator: NotIn, values: ['2']}]}",
            true,
            true,
        ),
        (
            "{matchExpressions: [{key: a, operator: NotIn, values: ['1']}]}",
            false,
            true,
        ),
        (
            "{matchExpressions: [{key: a, operator: Exists}]}",
            true,
            false,
        ),
        (
            "{matchExpressions: [{key: a, operator: DoesNotExist}]}",
            false,
            true,
        ),
        (
            "{matchLabels: {a: '1'}, matchExpressions: [{key: a, operator: DoesNotExist}]}",
            false,
            false,
        ),
    ] {
        let selector = selector(yaml);
        assert_eq!(check(&selector), Ok(()), "{yaml}");
        assert_eq!(
            (selects(&selector, &a), selects(&selector, &none)),
            (with_a, without),
            "{yaml}"
        );
    }
}

#[test]
fn what_the_cluster_refuses() {
    for expression in [
        "{key: a, operator: In}",
        "{key: a, operator: NotIn, values: []}",
        "{key: a, operator: Exists, values: ['1']}",
        "{key: a, operator: DoesNotExist, values: ['1']}",
    ] {
        let selector = selector(&format!("{{matchExpressions: [{expression}]}}"));
        assert!(check(&selector).is_err(), "{expression}");
    }
    assert!(
        serde_saphyr::from_str::<LabelSelector>("{matchExpressions: [{key: a, operator: Gt}]}")
            .is_err()
    );
}
