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
        target: b"/etc"[..].into(),
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
fn names_have_a_bound_of_their_own() {
    let limits = SourceLimits::default();
    let mut tree = Tree::new(limits);
    let folder = ["n".repeat(250).as_str(); 15].join("/");
    let most = limits.names() / folder.len() as u64;
    let fault = (0..most).find_map(|i| {
        let path = format!("{folder}/{i}");
        tree.insert(path.as_bytes(), file()).err()
    });
    assert_eq!(fault.unwrap().class(), FaultClass::SourceTooLarge);

    // Links' targets count too, and what goes counts no more.
    let mut tree: Tree<()> = Tree::new(SourceLimits {
        entries: 1_000,
        ..limits
    });
    let link = || Node::Link {
        target: vec![b't'; 4000].into(),
    };
    for _ in 0..1_000 {
        tree.insert(b"same", link()).unwrap();
    }
    let fault = (0..300).find_map(|i| tree.insert(format!("l{i}").as_bytes(), link()).err());
    assert_eq!(fault.unwrap().class(), FaultClass::SourceTooLarge);
}

/// Each path is looked for by its folder, not by all that it is in.
#[test]
fn deep_folders_do_not_take_for_ever() {
    let mut tree = tree();
    let folder = "d/".repeat(1_900);
    for i in 0..5_000 {
        let path = format!("{folder}{i}");
        tree.insert(path.as_bytes(), file()).unwrap();
    }
    assert_eq!(tree.iter().count(), 6_900);
}

#[test]
fn another_node_is_counted_for_the_one_in_whose_place_it_is() {
    let limits = SourceLimits {
        bytes: 25,
        ..SourceLimits::default()
    };
    let mut tree = Tree::new(limits);
    tree.insert(b"d/a", file()).unwrap();
    tree.insert(b"d/b", link()).unwrap();
    let large = |size| Node::File {
        executable: true,
        size,
        content: (),
    };
    let mut seen = Vec::new();
    tree.replace(|path, _| {
        seen.push(path.to_vec());
        Ok((path == b"d/a").then(|| large(25)))
    })
    .unwrap();
    assert_eq!(seen, [b"d/a", b"d/b"], "no folders");
    assert_eq!(tree.get(b"d/a"), Some(&large(25)));
    let fault = tree.replace(|_, _| Ok(Some(large(26)))).unwrap_err();
    assert_eq!(fault.class(), FaultClass::SourceTooLarge);
}

#[test]
fn ignoring_leaves_scripts() {
    let mut tree = tree();
    let files = [
        "keep",
        "x.log",
        ".s2i/bin/run",
        ".s2i/environment",
        "d/x",
        "d/y/z",
    ];
    for path in files {
        tree.insert(path.as_bytes(), file()).unwrap();
    }
    let ignored = b"*.log\n.s2i\nd\n";
    let never = CancellationToken::new();
    let count = tree.ignore(IgnoreMode::Classic, ignored, &mut Vec::new(), &never);
    assert_eq!(paths(&tree), [".s2i", ".s2i/bin", ".s2i/bin/run", "keep"]);
    assert_eq!(count.unwrap(), 3, "x.log, .s2i/environment and d");
}

fn tree_of(nodes: &[(&str, Option<&str>)]) -> Tree<()> {
    let mut tree = tree();
    for (path, target) in nodes {
        let node = target.map_or_else(file, |target| Node::Link {
            target: target.as_bytes().into(),
        });
        tree.insert(path.as_bytes(), node).unwrap();
    }
    tree
}

#[test]
fn links_are_followed_within_the_source() {
    let tree = tree_of(&[
        ("ci/bin/assemble", None),
        ("ci/bin/run", Some("../../shared//run.sh")),
        ("shared/run.sh", None),
        (".s2i", Some("./ci")),
        ("out", Some("../etc/passwd")),
        ("deep/out", Some("../../etc/passwd")),
        ("absolute", Some("/shared/run.sh")),
        ("circle", Some("circle")),
        ("folder", Some("shared/")),
        ("gone", Some("shared/none")),
        ("through", Some("shared/run.sh/x")),
        ("chain", Some("gone")),
    ]);
    let reach = |path: &str| tree.reach(path.as_bytes());
    let file = |path: &str| Reached::File(path.as_bytes().to_vec());
    let astray = |path: &str| Reached::Astray(path.as_bytes().to_vec());
    assert_eq!(reach("shared/run.sh"), file("shared/run.sh"));
    assert_eq!(reach(".s2i/bin/assemble"), file("ci/bin/assemble"));
    assert_eq!(reach(".s2i/bin/run"), file("shared/run.sh"));
    for nothing in [".s2i/bin/usage", "none", "shared", "shared/run.sh/x"] {
        assert_eq!(reach(nothing), Reached::Nothing, "{nothing}");
    }
    for path in [
        "out", "deep/out", "absolute", "circle", "folder", "gone", "through",
    ] {
        assert_eq!(reach(path), astray(path));
    }
    assert_eq!(reach("chain"), astray("gone"));
}

#[test]
fn a_script_is_never_silently_another() {
    let tree = tree_of(&[(".s2i/bin/assemble", Some("../../a.sh")), ("a.sh", None)]);
    let mut expected = SourceScripts::default();
    expected.note(".s2i/bin/assemble", "a.sh");
    assert_eq!(tree.scripts().unwrap(), expected);
    for (path, target) in [
        (".s2i/bin/assemble", "/etc/passwd"),
        (".s2i/bin/run", "../../gone"),
        (".s2i", "../elsewhere"),
        (".sti/bin", "/s"),
    ] {
        let fault = tree_of(&[(path, Some(target))]).scripts().unwrap_err();
        assert_eq!(fault.class(), FaultClass::SourceRefused);
        assert!(fault.to_string().contains(path), "{fault}");
    }
}
