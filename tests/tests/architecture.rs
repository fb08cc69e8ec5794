//! The house keeps its shape: which crate may know which, who may name what, how long a file may be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tests::{OrFail, toolbox};

/// Which of our crates each crate may depend on, for its production code (ARCHITECTURE.md).
const EDGES: &[(&str, &[&str])] = &[
    ("oci", &[]),
    ("sendfile", &[]),
    ("storage", &["oci"]),
    ("auth", &["oci"]),
    ("builder", &["oci"]),
    ("registry", &["auth", "oci", "sendfile", "storage"]),
    ("api", &["auth", "builder", "oci", "registry", "storage"]),
    (
        "slipway",
        &[
            "api", "auth", "builder", "oci", "registry", "sendfile", "storage",
        ],
    ),
    ("conformance", &["oci"]),
    ("tests", &["oci"]),
    ("bench", &["auth", "builder", "oci", "tests"]),
];

/// Crates of others that only some folders may name.
const NAMES: &[(&str, &[&str])] = &[
    (
        "axum",
        &[
            "registry/src/http",
            "api",
            "slipway",
            "sendfile/src/tests.rs",
            "registry/tests",
            "sendfile/src/tests",
            "sendfile/tests",
            "sendfile/examples",
        ],
    ),
    ("aws_sdk_s3", &["storage/src/s3"]),
    ("kube", &["auth"]),
    ("rusqlite", &["storage/src", "storage/tests"]),
];

/// Attacks, by their numbers in the list that tests are named after (`t22_…`): on who one is, on what one may, on parsers and
/// memory, on whom the server or a client talks to, and on builds.
const ATTACKS: [std::ops::RangeInclusive<u32>; 6] =
    [10..=17, 20..=26, 33..=33, 58..=59, 60..=63, 70..=75];

/// Production lines in one file, at most.
const LINES: usize = 400;

/// Every workspace member with the workspace members it depends on outside its tests.
fn edges(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let packages = metadata["packages"].as_array().or_fail("packages");
    let name = |value: &Value| value["name"].as_str().or_fail("a name").to_owned();
    let ours: BTreeSet<String> = packages.iter().map(name).collect();
    let own_dependencies = |package: &Value| {
        let dependencies = package["dependencies"]
            .as_array()
            .or_fail("dependencies")
            .iter();
        dependencies
            .filter(|dependency| dependency["kind"] != "dev")
            .map(name)
            .filter(|dependency| ours.contains(dependency))
            .collect()
    };
    packages
        .iter()
        .map(|package| (name(package), own_dependencies(package)))
        .collect()
}

fn forbidden_edges(edges: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let allowed: BTreeMap<_, _> = EDGES.iter().copied().collect();
    let mut found = Vec::new();
    for (from, targets) in edges {
        let Some(may) = allowed.get(from.as_str()) else {
            found.push(format!("{from} is not in the table of crates"));
            continue;
        };
        let beyond = targets
            .iter()
            .filter(|target| !may.contains(&target.as_str()));
        found.extend(beyond.map(|target| format!("{from} → {target}")));
    }
    found
}

/// A Rust file of the checkout: its path from the root and its text.
type Source = (PathBuf, String);

fn sources() -> Vec<Source> {
    let root = toolbox::checkout();
    let listed = Command::new("git")
        .args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "*.rs",
        ])
        .current_dir(&root)
        .output()
        .or_fail("git ls-files");
    assert!(
        listed.status.success(),
        "git ls-files: {}",
        String::from_utf8_lossy(&listed.stderr)
    );
    let files = String::from_utf8(listed.stdout).or_fail("file names in UTF-8");
    let read = |name: &str| {
        // A file may be listed and just deleted.
        std::fs::read_to_string(root.join(name))
            .ok()
            .map(|text| (PathBuf::from(name), text))
    };
    files.lines().filter_map(read).collect()
}

/// The lines of code: no comments, and nothing of the test modules that are written in place. A test module in a
/// file of its own (`mod tests;`) ends nothing: what stands below it is code.
fn production(text: &str) -> impl Iterator<Item = &str> {
    let mut lines = text.lines().peekable();
    let mut code = Vec::new();
    while let Some(line) = lines.next() {
        code.push(line);
        if line.trim() != "#[cfg(test)]" {
            continue;
        }
        while let Some(attribute) = lines.next_if(|line| line.trim().starts_with("#[")) {
            code.push(attribute);
        }
        if let Some(opened) = lines.next_if(|line| opens_module(line)) {
            // Formatted code closes a module in the column that it began in.
            let indent = opened.len() - opened.trim_start().len();
            let closes = |line: &str| line.trim_end() == format!("{:indent$}}}", "");
            while lines.next_if(|line| !closes(line)).is_some() {}
            lines.next();
        }
    }
    code.into_iter()
        .map(|line| line.split("//").next().unwrap_or_default())
}

/// Whether a line begins a module that is written in place: `mod tests {`.
fn opens_module(line: &str) -> bool {
    line.trim_end().ends_with('{') && line.split_whitespace().any(|word| word == "mod")
}

fn is_test(path: &Path) -> bool {
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    let test_folder = parts
        .iter()
        .any(|part| matches!(part.as_ref(), "tests" | "benches" | "examples"));
    // The suites that every implementation of a seam is tested by are none: their clauses are kept apart by subject.
    test_folder || path.file_name().is_some_and(|name| name == "tests.rs")
}

/// Whether a line names `word` as a whole word.
fn names(line: &str, word: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    line.split(|c: char| !part_of_name(c))
        .any(|found| found == word)
}

fn forbidden_names(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in sources {
        // This file names them all.
        if path.ends_with("tests/tests/architecture.rs") {
            continue;
        }
        for (word, places) in NAMES {
            let allowed = places.iter().any(|place| path.starts_with(place));
            let path_of_it = format!("{word}::");
            let code = text
                .lines()
                .map(|line| line.split("//").next().unwrap_or_default());
            if !allowed
                && code
                    .into_iter()
                    .any(|line| line.contains(&path_of_it) && names(line, word))
            {
                found.push(format!("{} names {word}", path.display()));
            }
        }
    }
    found
}

fn forbidden_unsafe(sources: &[Source]) -> Vec<String> {
    let outside = sources
        .iter()
        .filter(|(path, _)| !path.starts_with("sendfile"));
    let mut found = Vec::new();
    for (path, text) in outside.filter(|(path, _)| !path.ends_with("tests/tests/architecture.rs")) {
        let code = text
            .lines()
            .map(|line| line.split("//").next().unwrap_or_default());
        let forms = [
            "unsafe {",
            "unsafe fn",
            "unsafe impl",
            "unsafe extern",
            "unsafe trait",
            "unsafe(",
        ];
        if code
            .into_iter()
            .any(|line| forms.iter().any(|form| line.contains(form)))
        {
            found.push(path.display().to_string());
        }
    }
    found
}

fn too_long(sources: &[Source]) -> Vec<String> {
    let counted = sources
        .iter()
        .filter(|(path, _)| !is_test(path))
        .map(|(path, text)| (path, production(text).count()));
    counted
        .filter(|(_, lines)| *lines > LINES)
        .map(|(path, lines)| format!("{} has {lines} lines", path.display()))
        .collect()
}

/// Files of end-to-end tests that are called as a test file of another crate. `cargo test --workspace --test NAME` runs both, so
/// that the step of scripts/test for the other crates would run them as well.
fn twice_named(metadata: &Value) -> Vec<String> {
    let packages = metadata["packages"].as_array().or_fail("packages").iter();
    let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in packages {
        let targets = package["targets"].as_array().or_fail("targets").iter();
        for target in targets.filter(|target| target["kind"][0] == "test") {
            let name = |value: &Value| value["name"].as_str().or_fail("a name").to_owned();
            named.entry(name(target)).or_default().push(name(package));
        }
    }
    let twice = named
        .into_iter()
        .filter(|(_, crates)| crates.len() > 1 && crates.iter().any(|name| name == "tests"));
    twice.map(|(name, _)| name).collect()
}

fn metadata() -> Value {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let told = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--no-deps"])
        .current_dir(toolbox::checkout())
        .output()
        .or_fail("cargo metadata");
    assert!(
        told.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&told.stderr)
    );
    serde_json::from_slice(&told.stdout).or_fail("parse cargo metadata")
}

#[test]
fn end_to_end_tests_have_names_of_their_own() {
    assert_eq!(twice_named(&metadata()), [""; 0]);
    let test = |name: &str| serde_json::json!({"name": name, "kind": ["test"]});
    let metadata = serde_json::json!({"packages": [
        {"name": "api", "targets": [test("builds"), test("routes")]},
        {"name": "slipway", "targets": [test("routes")]},
        {"name": "tests", "targets": [test("builds"), test("kill")]},
    ]});
    assert_eq!(twice_named(&metadata), ["builds"], "it would be noticed");
}

#[test]
fn crates_depend_downwards_only() {
    let edges = edges(&metadata());
    assert!(edges.contains_key("slipway"), "{edges:?}");
    assert_eq!(forbidden_edges(&edges), [""; 0]);
}

#[test]
fn an_edge_that_points_up_or_sideways_would_be_noticed() {
    let metadata = serde_json::json!({"packages": [
        {"name": "auth", "dependencies": [{"name": "storage", "kind": null}, {"name": "oci", "kind": null}]},
        {"name": "oci", "dependencies": [{"name": "auth", "kind": "dev"}]},
        {"name": "storage", "dependencies": [{"name": "registry", "kind": "build"}]},
        {"name": "registry", "dependencies": []},
        {"name": "newcomer", "dependencies": []},
    ]});
    let found = forbidden_edges(&edges(&metadata));
    assert_eq!(
        found,
        [
            "auth → storage",
            "newcomer is not in the table of crates",
            "storage → registry"
        ]
    );
}

#[test]
fn foreign_crates_are_named_only_where_they_may_be() {
    assert_eq!(forbidden_names(&sources()), [""; 0]);
}

#[test]
fn a_foreign_crate_named_in_the_wrong_place_would_be_noticed() {
    let source = |path: &str, text: &str| (PathBuf::from(path), text.to_owned());
    let found = forbidden_names(&[
        source("registry/src/http/route.rs", "use axum::Router;"),
        source("registry/src/pull.rs", "use axum::Router;"),
        source(
            "registry/src/push.rs",
            "// axum::Router lives elsewhere\nuse my_axum::Router;",
        ),
        source("storage/src/blobs.rs", "let client: aws_sdk_s3::Client;"),
    ]);
    assert_eq!(
        found,
        [
            "registry/src/pull.rs names axum",
            "storage/src/blobs.rs names aws_sdk_s3"
        ]
    );
}

#[test]
fn no_file_has_more_production_lines_than_fit_one_idea() {
    assert_eq!(too_long(&sources()), [""; 0]);
}

#[test]
fn a_file_that_is_too_long_would_be_noticed_and_its_tests_are_not_counted() {
    let lines = "let x = 1;\n".repeat(LINES);
    let few = "let x = 1;\n".repeat(LINES - 1);
    let within = format!("mod tests {{\n    {{\n    }}\n{lines}}}\n");
    let found = too_long(
        &[
            ("oci/src/tested.rs", format!("{few}#[cfg(test)]\n{within}")),
            ("oci/src/long.rs", format!("{lines}let y = 2;\n")),
            ("oci/src/name/tests.rs", format!("{lines}let y = 2;\n")),
            ("oci/src/suite.rs", format!("{lines}let y = 2;\n")),
            ("oci/src/suite/tags.rs", format!("{lines}let y = 2;\n")),
            // Test modules in files of their own stand near the top, in front of all the code.
            (
                "oci/src/apart.rs",
                format!("#[cfg(test)]\nmod tests;\n\n{lines}"),
            ),
            (
                "oci/src/reasoned.rs",
                format!("#[cfg(test)]\n#[expect(x)]\npub(crate) mod tests;\n{lines}"),
            ),
            (
                "oci/src/behind.rs",
                format!("#[cfg(test)]\n{within}{lines}"),
            ),
            (
                "oci/src/item.rs",
                format!("#[cfg(test)]\nuse x::y;\n{lines}"),
            ),
        ]
        .map(|(path, text)| (PathBuf::from(path), text)),
    );
    let expected = [
        ("long", 1),
        ("suite", 1),
        ("suite/tags", 1),
        ("apart", 3),
        ("reasoned", 3),
        ("behind", 1),
        ("item", 2),
    ]
    .map(|(name, more)| format!("oci/src/{name}.rs has {} lines", LINES + more));
    assert_eq!(found, expected);
}

#[test]
fn unsafe_code_is_in_crate_sendfile_alone() {
    assert_eq!(forbidden_unsafe(&sources()), [""; 0]);
    let planted = [
        (
            PathBuf::from("sendfile/src/sys.rs"),
            "unsafe { call() }".to_owned(),
        ),
        (
            PathBuf::from("oci/src/digest.rs"),
            "let x = unsafe { call() };".to_owned(),
        ),
        (
            PathBuf::from("oci/src/name.rs"),
            "// unsafe { call() }".to_owned(),
        ),
    ];
    assert_eq!(
        forbidden_unsafe(&planted),
        ["oci/src/digest.rs"],
        "it would be noticed"
    );
}

#[test]
fn every_attack_has_a_test_of_its_number() {
    let named = |text: &str| {
        let lines = text.lines().map(str::trim_start);
        let functions = lines.filter_map(|line| {
            let line = line.strip_prefix("async ").unwrap_or(line);
            let (number, rest) = line.strip_prefix("fn t")?.split_at_checked(2)?;
            let number: u32 = number.parse().ok()?;
            rest.starts_with('_').then_some(number)
        });
        functions.collect::<Vec<_>>()
    };
    assert_eq!(
        named("    async fn t22_x() {\nfn t2_y() {\n// fn t23_z()"),
        [22]
    );
    let sources = sources();
    let tested: BTreeSet<u32> = sources.iter().flat_map(|(_, text)| named(text)).collect();
    let missing: Vec<u32> = ATTACKS
        .into_iter()
        .flatten()
        .filter(|number| !tested.contains(number))
        .collect();
    assert_eq!(missing, [0; 0]);
}
