use super::*;

#[test]
fn labels_are_read_in_their_order() {
    let json = br#"{"labels":[{"a":"1","b":"2"},{"a":"3"}],"other":1}"#;
    let labels = metadata_labels(json).unwrap();
    let expected = [("a", "3"), ("b", "2")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(labels, BTreeMap::from(expected));
    assert!(metadata_labels(b"{}").unwrap().is_empty());
}

#[test]
fn what_is_no_list_of_labels_fails_the_build() {
    for json in [
        "",
        "[]",
        r#"{"labels":{"a":"1"}}"#,
        r#"{"labels":[{"a":1}]}"#,
    ] {
        let refusal = metadata_labels(json.as_bytes()).unwrap_err();
        assert_eq!(refusal.reason(), Reason::ContainerCommitFailed, "{json}");
    }
}
