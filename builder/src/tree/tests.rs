use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use rustix::io::Errno;

use super::{InvalidPath, Tree, TreePath, remove_tree};

#[test]
fn paths_are_read_as_archives_spell_them() {
    for (text, path) in [
        (&b"a/b"[..], &b"a/b"[..]),
        (b"./a//b/.", b"a/b"),
        (b"/", b""),
        (b".", b""),
        (b"", b""),
        (b"///a", b"a"),
        (b"...", b"..."),
        (b"\xff\\", b"\xff\\"),
    ] {
        assert_eq!(TreePath::parse(text).unwrap().as_bytes(), path);
    }
    for (text, why) in [
        (&b".."[..], InvalidPath::Element),
        (b"a/../b", InvalidPath::Element),
        (b"a/..", InvalidPath::Element),
        (b"a\0", InvalidPath::Nul),
        (&[b'n'; 260], InvalidPath::TooLong),
        (&b"n/".repeat(2049), InvalidPath::TooLong),
    ] {
        assert_eq!(TreePath::parse(text), Err(why));
    }
    let root = TreePath::root();
    for name in [&b""[..], b".", b"..", b"a/b"] {
        assert_eq!(root.join(name), Err(InvalidPath::Element));
    }
    let path = TreePath::parse(b"a/b").unwrap();
    let (above, name) = path.split().unwrap();
    assert_eq!((above.as_bytes(), name), (&b"a"[..], &b"b"[..]));
    assert_eq!(path.names().collect::<Vec<_>>(), [b"a", b"b"]);
    assert_eq!(root.names().count(), 0);
    assert!(root.split().is_none());
    assert_eq!(
        TreePath::parse(b"a\n\xff").unwrap().to_string(),
        "/a\\n\\xff"
    );
}

#[test]
fn directories_are_opened_inside_only() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("tree");
    fs::create_dir_all(at.join("a/b")).unwrap();
    symlink("a", at.join("link")).unwrap();
    symlink("/a", at.join("absolute")).unwrap();
    symlink(folder.path(), at.join("out")).unwrap();
    symlink("../../..", at.join("up")).unwrap();
    symlink("/proc/self/cwd", at.join("magic")).unwrap();
    let tree = Tree::open(&at).unwrap();
    let path = |text: &str| TreePath::parse(text.as_bytes()).unwrap();
    assert!(tree.directory(&path("a/b")).is_ok());
    for link in ["link", "link/b", "absolute", "out", "up", "magic"] {
        assert_eq!(
            tree.directory(&path(link)).unwrap_err(),
            Errno::LOOP,
            "{link}"
        );
    }
    for inside in ["link/b", "absolute/b", "up/a/b"] {
        assert!(tree.directory_in_root(&path(inside)).is_ok(), "{inside}");
    }
    for outside in ["out", "magic"] {
        assert_eq!(
            tree.directory_in_root(&path(outside)).unwrap_err(),
            Errno::NOENT
        );
    }
}

#[test]
fn a_tree_is_removed_whatever_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let outside = folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("canary"), "").unwrap();
    let trash = folder.path().join("trash");
    fs::create_dir_all(trash.join("x/a/b/c")).unwrap();
    fs::create_dir_all(trash.join("x/a/b/d")).unwrap();
    fs::write(trash.join("x/a/file"), "").unwrap();
    symlink(&outside, trash.join("x/a/b/link")).unwrap();
    symlink("/", trash.join("x/root")).unwrap();
    // Of a process that was killed while it removed: the names that it used are taken.
    for number in 0..20 {
        fs::create_dir(trash.join(format!(".aside.{number}"))).unwrap();
    }
    fs::set_permissions(trash.join("x/a/b"), PermissionsExt::from_mode(0o000)).unwrap();
    let tree = Tree::open(&trash).unwrap();
    remove_tree(tree.fd(), b"x").unwrap();
    remove_tree(tree.fd(), b"x").unwrap();
    assert!(!trash.join("x").exists());
    assert_eq!(fs::read_dir(&trash).unwrap().count(), 20);
    symlink(&outside, trash.join("y")).unwrap();
    remove_tree(tree.fd(), b"y").unwrap();
    assert!(outside.join("canary").exists());
}
