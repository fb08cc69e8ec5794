use std::time::{Duration, SystemTime};

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

#[test]
fn a_release_ends_after_the_last_month_of_its_maintenance() {
    let node = Language::Nodejs.release(Some("20"), None).unwrap();
    let at = |text: &str| humantime::parse_rfc3339(text).unwrap();
    assert_eq!(node.ended(at("2026-04-30T23:59:59Z")), None);
    assert_eq!(node.ended(at("2026-05-01T00:00:00Z")), Some("2026-04"));
    let far = SystemTime::UNIX_EPOCH + Duration::from_secs(100 * 365 * 24 * 60 * 60);
    let unknown = Language::Java.release(None, None).unwrap();
    assert_eq!(unknown.ended(far), None);
    let months = Language::ALL
        .into_iter()
        .flat_map(Language::releases)
        .filter_map(|release| release.maintained_until);
    for month in months {
        let day = format!("{month}-01T00:00:00Z");
        assert!(humantime::parse_rfc3339(&day).is_ok(), "{month}");
    }
}
