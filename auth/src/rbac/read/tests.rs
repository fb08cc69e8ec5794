use std::os::unix::fs::symlink;

use super::*;

fn parse(text: &str) -> Result<Vec<Placed>, String> {
    let source = Source {
        path: "rules.yaml".into(),
        text: text.into(),
    };
    objects(&[source]).map_err(|error| error.to_string())
}

const ROLE: &str = "apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: a, uid: x, annotations: {b: c}, creationTimestamp: null, managedFields: [{x: 1}]}
rules: []
";

#[test]
fn documents_lists_and_comments() {
    let list = format!(
        "# c\n---\n{ROLE}---\n# nothing\n---\n---\napiVersion: v1\nkind: List\nmetadata: {{resourceVersion: ''}}\nitems:\n- apiVersion: rbac.authorization.k8s.io/v1\n  kind: Role\n  metadata: {{name: b, namespace: n}}\n"
    );
    let objects = parse(&list).unwrap();
    let seen: Vec<_> = objects
        .iter()
        .map(|p| (p.object.kind.as_str(), p.place()))
        .collect();
    assert_eq!(
        seen,
        [
            ("ClusterRole", "rules.yaml:3".into()),
            ("Role", "rules.yaml:15".into())
        ]
    );
    assert!(parse("").unwrap().is_empty());
    assert_eq!(parse(r#"{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"j","namespace":"n"},"rules":null}"#).unwrap().len(), 1);
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    for (from, to, line, what) in [
        (
            "kind: ClusterRole",
            "kind: Pod",
            7,
            "Pod of rbac.authorization.k8s.io/v1 does not belong here",
        ),
        (
            "io/v1",
            "io/v1beta1",
            7,
            "apiVersion must be rbac.authorization.k8s.io/v1, not",
        ),
        ("rules: []", "rule: []", 10, "rule"),
        ("rules: []", "rules: [{verb: [get]}]", 10, "verb"),
        ("rules: []", "rules: x", 10, ""),
        (
            "rules: []",
            "rules: [{verbs: get}]",
            10,
            "a list is wanted here, also of one: [get]",
        ),
        (
            "kind: ClusterRole",
            "kind: ConfigMap\ndata: {a: b}",
            7,
            "kind ConfigMap does not belong here: only ClusterRole, Role,",
        ),
        ("rules: []", "rules: []\nrules: []", 11, "duplicate"),
        (
            "rules: []",
            "rules: []\nitems: []",
            7,
            "only a List has items",
        ),
        ("kind: ClusterRole\n", "", 9, "missing field `kind`"),
        ("rules: []", "rules: [", 10, "bracket"),
    ] {
        let text = format!("{ROLE}---\n# second\n{}", ROLE.replace(from, to));
        let error = parse(&text).unwrap_err();
        assert!(
            error.starts_with(&format!("rules.yaml:{line}: ")) && error.contains(what),
            "{to}: {error}"
        );
        assert!(
            !error.contains("at line"),
            "the place is said once: {error}"
        );
    }
    let item = format!(
        "apiVersion: v1\nkind: List\nitems:\n- {}",
        ROLE.replace("ClusterRole", "Secret").replace('\n', "\n  ")
    );
    assert!(
        parse(&item)
            .unwrap_err()
            .starts_with("rules.yaml:4: Secret of"),
        "{:?}",
        parse(&item)
    );
}

/// A role with something in `metadata` that nobody reads.
fn with_metadata(extra: &str) -> String {
    let extra = extra.trim_end().replace('\n', "\n  ");
    ROLE.replace(
        "metadata: {name: a, ",
        "metadata:\n  name: a\n  EXTRA\n  rest: {",
    )
    .replace("EXTRA", &extra)
}

/// Lists of ten times the list before: `levels` lines unfold to `10^levels` words.
fn unfolding(levels: usize) -> String {
    let mut lines = vec!["a0: &a0 [x, x, x, x, x, x, x, x, x, x]".to_owned()];
    for n in 1..levels {
        let before = vec![format!("*a{}", n - 1); 10].join(", ");
        lines.push(format!("a{n}: &a{n} [{before}]"));
    }
    lines.join("\n")
}

#[test]
fn unfolding_and_depth_are_bounded() {
    assert_eq!(
        parse(&with_metadata(&unfolding(2))).unwrap().len(),
        1,
        "aliases are allowed"
    );
    let error = parse(&with_metadata(&unfolding(12))).unwrap_err();
    assert!(
        error.contains("rules.yaml:") && !error.contains("unknown field"),
        "{error}"
    );
    assert!(
        parse(&with_metadata(&format!(
            "deep: {}{}",
            "[".repeat(20),
            "]".repeat(20)
        )))
        .is_ok()
    );
    let error = parse(&with_metadata(&format!(
        "deep: {}{}",
        "[".repeat(40),
        "]".repeat(40)
    )))
    .unwrap_err();
    assert!(error.contains("depth"), "{error}");
}

#[test]
fn only_rules_in_the_folder_itself_are_read_in_order() {
    let dir = tempfile::tempdir().unwrap();
    for name in [
        "b.yml",
        "a.yaml",
        "c.json",
        "README.md",
        ".hidden.yaml",
        "d.yaml~",
        "yaml",
    ] {
        fs::write(dir.path().join(name), name).unwrap();
    }
    fs::create_dir(dir.path().join("sub")).unwrap();
    fs::write(dir.path().join("sub/e.yaml"), "").unwrap();
    let files = folder(dir.path()).unwrap();
    assert_eq!(
        files.iter().map(|f| f.text.as_str()).collect::<Vec<_>>(),
        ["a.yaml", "b.yml", "c.json"]
    );
    assert_eq!(files[0].path, dir.path().join("a.yaml"));
    assert!(
        folder(&dir.path().join("missing"))
            .unwrap_err()
            .to_string()
            .contains("missing")
    );
}

#[test]
fn a_kubernetes_volume_is_read_as_one_generation() {
    let dir = tempfile::tempdir().unwrap();
    for generation in ["..1", "..2"] {
        fs::create_dir(dir.path().join(generation)).unwrap();
        fs::write(dir.path().join(generation).join("a.yaml"), generation).unwrap();
    }
    symlink("..data/a.yaml", dir.path().join("a.yaml")).unwrap();
    for generation in ["..1", "..2"] {
        symlink(generation, dir.path().join("next")).unwrap();
        fs::rename(dir.path().join("next"), dir.path().join("..data")).unwrap();
        let files = folder(dir.path()).unwrap();
        assert_eq!((files.len(), files[0].text.as_str()), (1, generation));
        assert_eq!(files[0].path, dir.path().join("a.yaml"));
    }
}

#[test]
fn too_many_files_and_too_large() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("a.yaml"),
        vec![b'#'; usize::try_from(MAX_BYTES).unwrap() - 1],
    )
    .unwrap();
    fs::write(dir.path().join("b.yaml"), "#").unwrap();
    assert_eq!(folder(dir.path()).unwrap().len(), 2);
    fs::write(dir.path().join("b.yaml"), "##").unwrap();
    assert!(
        folder(dir.path())
            .unwrap_err()
            .to_string()
            .contains("larger")
    );
    fs::remove_file(dir.path().join("a.yaml")).unwrap();
    for n in 0..MAX_FILES {
        fs::write(dir.path().join(format!("{n}.yaml")), "").unwrap();
    }
    assert!(
        folder(dir.path())
            .unwrap_err()
            .to_string()
            .contains("more than")
    );
}
