use std::collections::HashSet;

use super::check::quoted;
use super::*;

#[test]
fn every_kind_has_a_name_of_its_own() {
    let names: HashSet<&str> = Kind::ALL.iter().map(|kind| kind.id()).collect();
    assert_eq!(names.len(), Kind::ALL.len());
}

#[test]
fn findings_beyond_the_bound_are_counted_only() {
    let mut findings = Findings::default();
    let many = MAX_FINDINGS + 5;
    findings.extend((0..many).map(|n| Finding::new(Kind::FileUnknown, n, "")));
    findings.add(Finding::new(Kind::BlobMissing, "an error among notes", ""));
    assert_eq!((findings.notes, findings.errors), (many as u64, 1));
    assert_eq!(findings.list.len(), MAX_FINDINGS + 1);
    assert!(!findings.is_clean());
}

#[test]
fn what_is_found_from_both_sides_counts_once() {
    let mut findings = Findings::default();
    for what in ["by its blob", "by its manifest"] {
        findings.add(Finding::new(Kind::BlobMissing, "here", what));
    }
    findings.add(Finding::new(Kind::BlobMissing, "there", ""));
    assert_eq!(findings.errors, 2);
}

#[test]
fn a_report_is_flat_json_with_stable_names() {
    let mut report = Report::default();
    let finding = Finding::new(Kind::TagDangling, "a/key", "points nowhere");
    report.findings.add(finding);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["errors"], 1);
    assert_eq!(json["kinds"]["tag.dangling"], 1);
    assert_eq!(json["findings"][0]["id"], "tag.dangling");
    assert_eq!(json["findings"][0]["severity"], "error");
    assert_eq!(json["findings"][0]["where"], "a/key");
    assert_eq!(json["checked"]["hashedBytes"], 0);
}

#[test]
fn what_a_file_says_stays_one_short_line() {
    assert_eq!(quoted(""), "is empty");
    assert_eq!(quoted("a\nb"), r#"says "a\nb""#);
    assert!(quoted(&"ü".repeat(1_000)).chars().count() < 200);
}
