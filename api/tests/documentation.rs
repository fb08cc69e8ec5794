//! docs/build-spec.md against the document that the server gives: every field in both, with the same type and default.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests panic to report"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use support::Server;

const PAGE: &str = include_str!("../../docs/build-spec.md");

/// The sections of the page and the schemas that they are about.
const SECTIONS: [(&str, &str); 6] = [
    ("The spec", "BuildSpec"),
    ("Starting a run of a build", "NewRun"),
    ("Running something once", "Once"),
    ("Doing a run again", "RebuildOf"),
    ("What is known of a build", "Build"),
    ("What is known of a run", "BuildRun"),
];

/// Schemas that are described once, and named where they occur within others.
const NAMED: [(&str, &str); 3] = [
    ("BuildSpec", "spec"),
    ("SourceSpec", "source"),
    ("FailureReason", "[reason](#reasons)"),
];

/// A field: its type, and what it is where nobody says it. Words of an enumeration are a type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Field {
    kind: String,
    default: Option<String>,
}

type Fields = BTreeMap<String, Field>;

struct Schemas(Value);

impl Schemas {
    async fn of_the_server() -> Self {
        let server = Server::guarded(false).await;
        Self(server.get("/api/openapi.json", "").await.json())
    }

    fn named(&self, name: &str) -> &Value {
        &self.0["components"]["schemas"][name]
    }

    fn fields(&self, root: &str) -> Fields {
        let mut found = Fields::new();
        self.add(root, self.named(root), "", None, &mut found);
        found
    }

    /// Adds the fields at and below `path`.
    fn add(
        &self,
        root: &str,
        schema: &Value,
        path: &str,
        default: Option<String>,
        found: &mut Fields,
    ) {
        if let Some(name) = schema["$ref"].as_str() {
            let name = name.rsplit('/').next().unwrap();
            let word = NAMED.iter().find(|(known, _)| known == &name);
            return match word {
                // Where the spec is described, so is the source.
                Some((_, word)) if root != "BuildSpec" => {
                    leaf(path, word, default, found);
                }
                _ => self.add(root, self.named(name), path, default, found),
            };
        }
        if let Some(word) = schema["const"].as_str() {
            return leaf(path, &format!("`{word}`"), default, found);
        }
        if let Some(words) = schema["enum"].as_array() {
            for word in words {
                let word = format!("`{}`", word.as_str().unwrap());
                leaf(path, &word, default.clone(), found);
            }
            return;
        }
        let choices = ["anyOf", "oneOf"].into_iter();
        let choices: Vec<_> = choices
            .filter_map(|word| schema[word].as_array())
            .flatten()
            .collect();
        for choice in &choices {
            if choice["type"] != "null" {
                self.add(root, choice, path, default.clone(), found);
            }
        }
        if !choices.is_empty() {
            return;
        }
        let items = &schema["items"];
        if let Some(properties) = schema["properties"].as_object() {
            let required = schema["required"].as_array().into_iter().flatten();
            let required: BTreeSet<_> = required.filter_map(Value::as_str).collect();
            for (name, inner) in properties {
                let dot = if path.is_empty() { "" } else { "." };
                let default = match &inner["default"] {
                    Value::Null | Value::Object(_) => None,
                    Value::String(text) => Some(text.clone()),
                    other => Some(other.to_string()),
                };
                let default = required
                    .contains(name.as_str())
                    .then(|| "required".to_owned())
                    .or(default);
                let path = format!("{path}{dot}{name}");
                self.add(root, inner, &path, default, found);
            }
        } else if !items.is_null() && items["type"] != "string" {
            self.add(root, items, &format!("{path}[]"), None, found);
        } else {
            leaf(path, kind(schema), default, found);
        }
    }
}

/// How the page says what values a schema has.
fn kind(schema: &Value) -> &'static str {
    let one = match &schema["type"] {
        Value::Array(all) => all.iter().find(|one| *one != "null").unwrap(),
        one => one,
    };
    match one.as_str().unwrap() {
        "string" => "text",
        "integer" => "number",
        "boolean" => "boolean",
        "array" => "list of text",
        "object" => "map",
        other => panic!("no word for {other}"),
    }
}

/// A field that several choices have is one; of an enumeration's words all are its type.
fn leaf(path: &str, kind: &str, default: Option<String>, found: &mut Fields) {
    let field = found.entry(path.to_owned()).or_default();
    if !field.kind.split(", ").any(|known| known == kind) {
        let comma = if field.kind.is_empty() { "" } else { ", " };
        field.kind = format!("{}{comma}{kind}", field.kind);
    }
    field.default = default;
}

/// The page below a heading of the second order.
fn section(heading: &str) -> &'static str {
    let begin = format!("\n## {heading}\n");
    let (_, rest) = PAGE
        .split_once(&begin)
        .unwrap_or_else(|| panic!("{heading}"));
    rest.split("\n## ").next().unwrap()
}

/// What stands in backticks.
fn quoted(cell: &str) -> Vec<String> {
    let parts = cell.split('`').skip(1).step_by(2);
    parts.map(str::to_owned).collect()
}

/// The rows of a section's tables. Answers have no defaults.
fn documented(heading: &str) -> Fields {
    let mut found = Fields::new();
    for row in section(heading)
        .lines()
        .filter(|line| line.starts_with("| `"))
    {
        let cells: Vec<_> = row.split(" | ").map(str::trim).collect();
        let default = match cells.as_slice() {
            [_, _, "required", _] => Some("required".to_owned()),
            [_, _, default, _] => quoted(default).pop(),
            _ => None,
        };
        for name in quoted(cells[0]) {
            let field = Field {
                kind: cells[1].to_owned(),
                default: default.clone(),
            };
            let before = found.insert(name, field);
            assert_eq!(before, None, "twice: {row}");
        }
    }
    found
}

#[tokio::test]
async fn every_field_is_in_the_page_with_its_type_and_default_and_nothing_else() {
    let schemas = Schemas::of_the_server().await;
    for (heading, name) in SECTIONS {
        let (mut said, written) = (schemas.fields(name), documented(heading));
        if !section(heading).contains("| default |") {
            for field in said.values_mut() {
                field.default = None;
            }
        }
        let names = |fields: &Fields| fields.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&written), names(&said), "{heading}");
        for (name, field) in &written {
            assert_eq!(field, &said[name], "{heading}: {name}");
        }
    }
    let spec = schemas.fields("BuildSpec");
    assert!(spec.len() > 40, "{}", spec.len());
    assert_eq!(spec["env[].buildOnly"].default.as_deref(), Some("false"));
}

/// The files of a section's examples, as YAML reads them; JSON is YAML.
fn files(heading: &str) -> Vec<Value> {
    let text = section(heading);
    let starts = text.match_indices("<<'YAML'\n");
    let files = starts.map(|(at, mark)| {
        let body = &text[at + mark.len()..];
        let body = body.split_once("\nYAML\n").unwrap().0;
        serde_saphyr::from_str(body).unwrap()
    });
    files.collect()
}

fn paths(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                paths(inner, &format!("{path}{dot}{name}"), found);
            }
        }
        Value::Array(all) if all.iter().any(Value::is_object) => {
            for inner in all {
                paths(inner, &format!("{path}[]"), found);
            }
        }
        _ => {}
    }
    found.insert(path.to_owned());
}

#[tokio::test]
async fn every_field_of_a_spec_is_in_a_file_that_is_applied() {
    let spec = Schemas::of_the_server().await.fields("BuildSpec");
    let mut used = BTreeSet::new();
    let files = files("The spec");
    assert!(files.len() >= 5);
    for file in &files {
        paths(&file["spec"], "", &mut used);
    }
    // This one's value is known only when a run has kept a source: `jq` writes its file.
    used.insert("source.reference".to_owned());
    assert!(section("The spec").contains("{kind: \"image\", reference:"));
    let missing: Vec<_> = spec.keys().filter(|name| !used.contains(*name)).collect();
    assert!(missing.is_empty(), "in no file: {missing:?}");
    let applied = section("The spec").matches("slipway build apply --file ");
    assert_eq!(applied.count(), files.len() + 1);
}

/// The words of the schema of reasons.
async fn reasons() -> BTreeSet<String> {
    let schemas = Schemas::of_the_server().await;
    let mut found = BTreeSet::new();
    for choice in schemas.named("FailureReason")["anyOf"].as_array().unwrap() {
        let Some(name) = choice["$ref"].as_str() else {
            continue;
        };
        let name = name.rsplit('/').next().unwrap();
        for known in schemas.named(name)["oneOf"].as_array().unwrap() {
            found.insert(known["const"].as_str().unwrap().to_owned());
        }
    }
    found
}

#[tokio::test]
async fn every_reason_is_in_the_page_and_no_page_has_another() {
    let known = reasons().await;
    assert!(known.len() > 40, "{}", known.len());
    let first_cells = |text: &'static str| {
        let rows = text.lines().filter(|line| line.starts_with("| `"));
        rows.flat_map(|row| quoted(row.split(" | ").next().unwrap()))
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(first_cells(section("Reasons")), known);
    let is_reason = |word: &String| {
        let begins = word.starts_with(|c: char| c.is_ascii_uppercase());
        begins && word.chars().all(|c| c.is_ascii_alphanumeric())
    };
    for page in [
        include_str!("../../docs/pipelines.md"),
        include_str!("../../docs/build-git.md"),
    ] {
        let words = first_cells(page);
        let words: BTreeSet<_> = words.into_iter().filter(is_reason).collect();
        assert!(words.len() > 8, "{words:?}");
        assert!(words.is_subset(&known), "{words:?}");
    }
}
