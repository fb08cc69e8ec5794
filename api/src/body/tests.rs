use std::collections::BTreeMap;

use builder::records::BuildSpec;
use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Secret {
    #[serde(default, rename = "usedFor")]
    _used_for: Use,
    #[serde(rename = "files")]
    _files: BTreeMap<String, String>,
    #[serde(default, rename = "source")]
    _source: Option<Source>,
    #[serde(default, rename = "port")]
    _port: u8,
    #[serde(default, rename = "repository")]
    _repository: Option<oci::RepoName>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Use {
    #[default]
    Build,
    Git,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
enum Source {
    Git {
        #[serde(rename = "url")]
        _url: String,
    },
}

fn refused(json: &str) -> String {
    read::<Secret>(json.as_bytes()).unwrap_err()
}

#[test]
fn an_error_names_the_place_and_what_belongs_there() {
    for (json, said) in [
        (
            r#"{"files": "x"}"#,
            "files: something else stands there: expected is a map (line 1, column 13)",
        ),
        (
            r#"{"files": {"token": 7}}"#,
            "files.token: something else stands there: expected is a string (line 1, column 21)",
        ),
        (
            r#"{"files": {}, "usedFor": "all"}"#,
            "usedFor: something else stands there: expected is `build` or `git` (line 1, column 30)",
        ),
        (
            r#"{"files": {}, "usedfor": "git"}"#,
            "usedfor: there is no such field: expected is one of `usedFor`, `files`, `source`, `port`, `repository` (line 1, column 23)",
        ),
        (
            r#"{"usedFor": "git"}"#,
            "missing field `files` (line 1, column 18)",
        ),
        (
            r#"{"files": {}"#,
            "EOF while parsing an object at line 1 column 12",
        ),
        (
            r#"{"files": {}} {}"#,
            "trailing characters at line 1 column 15",
        ),
    ] {
        assert_eq!(refused(json), said);
    }
    assert!(read::<Secret>(br#"{"files": {"a": "b"}}"#).is_ok());
}

#[test]
fn an_error_of_a_source_names_the_very_field() {
    let said = |source: &str| {
        let json =
            format!(r#"{{"source": {source}, "builder": "b", "output": {{"image": "t/a"}}}}"#);
        read::<BuildSpec>(json.as_bytes()).unwrap_err()
    };
    for (source, begins) in [
        (
            r#"{"kind": "git", "url": "u", "contextdir": "c"}"#,
            "source.contextdir: there is no such field: expected is one of `kind`, `url`, `revision`, `contextDir`,",
        ),
        (
            r#"{"uri": "u", "kind": "git"}"#,
            "source.uri: there is no such field: expected is one of `kind`, `url`,",
        ),
        (
            r#"{"reference": "r", "kind": "git", "url": "u"}"#,
            "source.reference: there is no such field: expected is one of `kind`, `url`,",
        ),
        (
            r#"{"kind": "image", "reference": "r", "lfs": false}"#,
            "source.lfs: there is no such field: expected is `kind` or `reference` (line",
        ),
        (
            r#"{"kind": "git", "url": 7}"#,
            "source.url: something else stands there: expected is a string",
        ),
        (r#"{"kind": "git"}"#, "source: missing field `url`"),
        (r#"{"kind": "image"}"#, "source: missing field `reference`"),
        (r#"{"url": "u"}"#, "source: missing field `kind`"),
        (
            r#"{"kind": "svn"}"#,
            "source.kind: something else stands there: expected is `git` or `image`",
        ),
    ] {
        let said = said(source);
        assert!(said.starts_with(begins), "{said}");
    }
}

#[test]
fn no_error_quotes_a_value() {
    // Also one that is made to look like the end of an error.
    for value in [
        "hunter2",
        "x, expected hunter2",
        "missing field hunter2",
        "unknown field `hunter2`, expected x",
    ] {
        for json in [
            format!(r#""{value}""#),
            format!(r#"["{value}"]"#),
            format!(r#"{{"files": "{value}"}}"#),
            format!(r#"{{"files": ["{value}"]}}"#),
            format!(r#"{{"files": {{}}, "usedFor": "{value}"}}"#),
            format!(r#"{{"files": {{}}, "usedFor": {{"{value}": 1}}}}"#),
            format!(r#"{{"files": {{}}, "port": "{value}"}}"#),
            format!(r#"{{"files": {{}}, "source": "{value}"}}"#),
            format!(r#"{{"files": {{}}, "source": {{"kind": "{value}"}}}}"#),
            format!(r#"{{"files": {{}}, "source": {{"kind": "git", "url": ["{value}"]}}}}"#),
            format!(r#"{{"files": {{}}, "repository": "{value} "}}"#),
            format!(r#"{{"files": {{"a": "{value}}}}}"#),
            format!(r#"{{"files": {{"a": {value}}}}}"#),
        ] {
            let said = refused(&json);
            assert!(!said.contains("hunter2"), "{json}: {said}");
        }
    }
    for number in ["73313373", "-73313373", "7331.3373", "73313373e99"] {
        for field in ["files", "port", "usedFor", "source", "repository"] {
            let said = refused(&format!(r#"{{"files": {{}}, "{field}": {number}}}"#));
            assert!(!said.contains("7331"), "{said}");
        }
    }
}

#[test]
fn the_names_of_a_place_are_cut() {
    let name = "x".repeat(5000);
    let said = refused(&format!(r#"{{"files": {{"{name}": 1}}}}"#));
    assert!(said.len() < 400, "{said}");
    assert!(!refused(r#"{"files": {"a\u0000\u001bb": 1}}"#).contains('\u{1b}'));
}
