use super::Language;

#[test]
fn every_description_can_be_read_and_names_no_version_twice() {
    for language in Language::ALL {
        assert_eq!(Language::of(language.name()), Some(language));
        let mut versions: Vec<_> = language
            .releases()
            .into_iter()
            .map(|release| release.version)
            .collect();
        let count = versions.len();
        versions.sort();
        versions.dedup();
        assert!(count > 0 && versions.len() == count, "{language:?}");
    }
}

#[test]
fn a_version_or_a_suite_names_a_release() {
    let python = Language::Python;
    let default = python.release(None, None).unwrap();
    assert_eq!(default, python.releases()[0]);
    let of_suite = python.release(None, Some("bookworm")).unwrap();
    assert_eq!(of_suite.version, "3.11");
    assert_eq!(python.release(Some("3.11"), None).unwrap(), of_suite);
    let said = python.release(Some("2.7"), None).unwrap_err().to_string();
    assert!(
        said.contains("python 2.7") && said.contains("3.11 (bookworm)"),
        "{said}"
    );
    let said = python.release(Some("3.11"), Some("trixie"));
    assert!(
        said.unwrap_err()
            .to_string()
            .contains("python 3.11 in trixie")
    );
}
