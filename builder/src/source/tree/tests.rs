use super::*;
use crate::source::FaultClass;

fn tree() -> Tree<()> {
    Tree::new(SourceLimits::default())
}

fn file() -> Node<()> {
    Node::File {
        executable: false,
        size: 10,
        content: (),
    }
}

fn link() -> Node<()> {
    Node::Link {
        target: b"/etc".to_vec(),
    }
}

fn paths(tree: &Tree<()>) -> Vec<String> {
    tree.iter()
        .map(|(path, _)| String::from_utf8_lossy(path).into_owned())
        .collect()
}

#[test]
fn folders_come_into_being_above_files() {
    let mut tree = tree();
    tree.insert(b"a/b/c", file()).unwrap();
    tree.insert(b"a/b", Node::Folder).unwrap();
    tree.insert(b"a-b", file()).unwrap();
    assert_eq!(paths(&tree), ["a", "a-b", "a/b", "a/b/c"]);
}

#[test]
fn names_that_lead_out_are_refused() {
    for path in [
        &b""[..],
        b"/etc/passwd",
        b"a//b",
        b"../x",
        b"a/../b",
        b"a/.",
        b"a\0b",
        b".git/config",
        b"sub/.GiT/hooks/x",
        &[b'a'; 256],
        &b"a/".repeat(2001),
    ] {
        let fault = tree().insert(path, file()).unwrap_err();
        assert_eq!(
            fault.class(),
            FaultClass::SourceRefused,
            "{}",
            path.escape_ascii()
        );
    }
}

#[test]
fn nothing_is_below_a_link_or_a_file() {
    for above in [link(), file()] {
        let mut tree = tree();
        tree.insert(b"a", above).unwrap();
        assert!(tree.insert(b"a/passwd", file()).is_err());
        assert!(tree.insert(b"a", Node::Folder).is_err());
    }
    let mut tree = tree();
    tree.insert(b"a/b", file()).unwrap();
    assert!(
        tree.insert(b"a", link()).is_err(),
        "nor a link in a folder's place"
    );
}

#[test]
fn the_bounds_hold() {
    let limits = SourceLimits {
        entries: 3,
        bytes: 25,
        ..SourceLimits::default()
    };
    let mut tree = Tree::new(limits);
    tree.insert(b"a", file()).unwrap();
    tree.insert(b"a", file()).unwrap();
    tree.insert(b"b", file()).unwrap();
    let fault = tree.insert(b"c", file()).unwrap_err();
    assert_eq!(fault.class(), FaultClass::SourceTooLarge);
    let mut tree = Tree::new(limits);
    let fault = tree.insert(b"a/b/c/d", file()).unwrap_err();
    assert_eq!(fault.class(), FaultClass::SourceTooLarge);
}

#[test]
fn ignoring_leaves_scripts() {
    let mut tree = tree();
    for path in ["keep", "x.log", ".s2i/bin/run", ".s2i/environment", "d/x"] {
        tree.insert(path.as_bytes(), file()).unwrap();
    }
    tree.ignore(IgnoreMode::Classic, b"*.log\n.s2i\nd\n", &mut Vec::new());
    assert_eq!(paths(&tree), [".s2i", ".s2i/bin", ".s2i/bin/run", "keep"]);
}
