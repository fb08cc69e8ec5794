use std::fs;
use std::os::unix::fs::symlink;

use super::*;

fn root() -> (tempfile::TempDir, Rootfs) {
    let folder = tempfile::tempdir().unwrap();
    let root = Rootfs::open(folder.path()).unwrap();
    (folder, root)
}

fn path(root: &Rootfs, path: &str) -> String {
    let resolved = root.resolve(Path::new(path)).unwrap();
    resolved.path.to_str().unwrap().to_owned()
}

#[test]
fn links_are_followed_inside_the_root() {
    let (folder, root) = root();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("usr/lib")).unwrap();
    fs::write(at("usr/lib/file"), "text").unwrap();
    symlink("/usr/lib", at("absolute")).unwrap();
    symlink("../../../../../etc/passwd", at("escape")).unwrap();
    symlink("usr/../usr/lib/file", at("relative")).unwrap();
    symlink("/run/nothing/here", at("dangling")).unwrap();
    assert_eq!(path(&root, "/absolute/file"), "/usr/lib/file");
    assert_eq!(path(&root, "/escape"), "/etc/passwd");
    assert_eq!(path(&root, "/relative"), "/usr/lib/file");
    assert_eq!(path(&root, "/dangling"), "/run/nothing/here");
    assert_eq!(path(&root, "/"), "/");
    let text = root.read(Path::new("/relative"), 10).unwrap();
    assert_eq!(text.as_deref(), Some("text"));
    assert!(root.read(Path::new("/relative"), 3).is_err());
    assert_eq!(root.read(Path::new("/escape"), 10).unwrap(), None);
}

#[test]
fn a_loop_and_a_file_on_the_way_are_refused() {
    let (folder, root) = root();
    symlink("two", folder.path().join("one")).unwrap();
    symlink("one", folder.path().join("two")).unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    assert!(root.resolve(Path::new("/one/x")).is_err());
    assert!(root.resolve(Path::new("/file/x")).is_err());
}

#[test]
fn what_was_made_is_unmade_unless_it_is_used() {
    let (folder, root) = root();
    fs::create_dir(folder.path().join("etc")).unwrap();
    let made = root.make(Path::new("/etc/a/b/file"), false, None).unwrap();
    assert_eq!(made.len(), 3);
    assert!(folder.path().join("etc/a/b/file").is_file());
    assert_eq!(root.unmake(made), Vec::<PathBuf>::new());
    assert!(!folder.path().join("etc/a").exists());
    assert!(folder.path().join("etc").exists());

    let made = root.make(Path::new("/cache/x"), true, None).unwrap();
    fs::write(folder.path().join("cache/mine"), "").unwrap();
    assert_eq!(root.unmake(made), [Path::new("/cache")]);
}

#[test]
fn what_became_a_link_is_not_followed_when_unmaking() {
    let (folder, root) = root();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("file"), "").unwrap();
    let made = root.make(Path::new("/a/file"), false, None).unwrap();
    fs::remove_file(folder.path().join("a/file")).unwrap();
    fs::remove_dir(folder.path().join("a")).unwrap();
    symlink(outside.path(), folder.path().join("a")).unwrap();
    root.unmake(made);
    assert!(outside.path().join("file").exists());
}
