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

fn make(root: &Rootfs, path: &str, folder: bool) -> Made {
    let mut made = Made::default();
    root.make(Path::new(path), folder, None, &mut made).unwrap();
    made
}

#[test]
fn a_folder_has_its_time_again_unless_somebody_changed_it() {
    let (folder, root) = root();
    let times = |name: &str| {
        fs::metadata(folder.path().join(name))
            .unwrap()
            .modified()
            .unwrap()
    };
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    for name in ["etc", "run"] {
        let path = folder.path().join(name);
        fs::create_dir_all(&path).unwrap();
        fs::File::open(path).unwrap().set_modified(old).unwrap();
    }
    let mut all = Made::default();
    for path in ["/etc/hosts", "/run/a/b", "/etc/resolv.conf"] {
        root.make(Path::new(path), false, None, &mut all).unwrap();
    }
    // The clock of files ticks every few milliseconds.
    std::thread::sleep(std::time::Duration::from_millis(50));
    fs::write(folder.path().join("run/mine"), "").unwrap();
    assert_eq!(root.unmake(all), Vec::<PathBuf>::new());
    assert_eq!(times("etc"), old);
    assert!(times("run") > old);
}

#[test]
fn what_was_made_is_unmade_unless_it_is_used() {
    let (folder, root) = root();
    fs::create_dir(folder.path().join("etc")).unwrap();
    let made = make(&root, "/etc/a/b/file", false);
    assert!(folder.path().join("etc/a/b/file").is_file());
    assert_eq!(root.unmake(made), Vec::<PathBuf>::new());
    assert!(!folder.path().join("etc/a").exists());
    assert!(folder.path().join("etc").exists());

    let made = make(&root, "/cache/x", true);
    fs::write(folder.path().join("cache/mine"), "").unwrap();
    assert_eq!(root.unmake(made), [Path::new("/cache")]);
}

#[test]
fn what_became_a_link_is_not_followed_when_unmaking() {
    let (folder, root) = root();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("file"), "").unwrap();
    let made = make(&root, "/a/file", false);
    fs::remove_file(folder.path().join("a/file")).unwrap();
    fs::remove_dir(folder.path().join("a")).unwrap();
    symlink(outside.path(), folder.path().join("a")).unwrap();
    root.unmake(made);
    assert!(outside.path().join("file").exists());
}
