use std::os::unix::fs::symlink;

use super::*;

fn made(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    folder
}

fn snapshot(folder: &tempfile::TempDir) -> Snapshot {
    directory(
        folder.path(),
        IgnoreMode::Classic,
        SourceLimits::default(),
        &std::env::temp_dir(),
    )
    .unwrap()
}

fn paths(snapshot: &Snapshot) -> Vec<String> {
    let mut archive = tar::Archive::new(snapshot.open().unwrap());
    let entries = archive.entries().unwrap();
    entries
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect()
}

#[test]
fn ignored_files_and_git_are_left_out() {
    let folder = made(&[
        (".git/config", "x"),
        (".gitignore", "*.o\n/build\n"),
        ("main.c", "int main;"),
        ("main.o", "x"),
        ("build/out", "x"),
        ("lib/.gitignore", "!keep.o\nlocal\n"),
        ("lib/keep.o", "x"),
        ("lib/local", "x"),
        (".s2iignore", "notes\n"),
        ("notes/a", "x"),
        (".hidden", "x"),
        ("sub/.git", "gitdir: ../.git/modules/sub"),
        ("sub/file", "x"),
    ]);
    assert_eq!(
        paths(&snapshot(&folder)),
        [
            ".gitignore",
            ".hidden",
            ".s2iignore",
            "lib/",
            "lib/.gitignore",
            "lib/keep.o",
            "main.c",
            "sub/",
            "sub/file",
        ]
    );
}

#[test]
fn equal_folders_give_equal_snapshots() {
    let files = [("a", "1"), ("b/c", "2"), ("b/d", "3")];
    let (one, two) = (made(&files), made(&files));
    symlink("../a", one.path().join("b/link")).unwrap();
    symlink("../a", two.path().join("b/link")).unwrap();
    assert_eq!(snapshot(&one).digest(), snapshot(&two).digest());
    std::fs::write(two.path().join("a"), "4").unwrap();
    assert_ne!(snapshot(&one).digest(), snapshot(&two).digest());
}

#[test]
fn links_out_of_the_folder_are_not_followed() {
    let secret = made(&[("secret", "canary")]);
    let folder = made(&[("a", "1")]);
    symlink(secret.path(), folder.path().join("out")).unwrap();
    let snapshot = snapshot(&folder);
    assert_eq!(paths(&snapshot), ["a", "out"]);
    let mut bytes = Vec::new();
    std::io::copy(&mut snapshot.open().unwrap(), &mut bytes).unwrap();
    assert!(!bytes.windows(6).any(|window| window == b"canary"));
}

#[test]
fn a_file_that_becomes_a_link_is_not_followed() {
    let secret = made(&[("secret", "canary")]);
    let folder = made(&[("a/b", "1")]);
    let mut contents = Folder(File::open(folder.path()).unwrap());
    std::fs::remove_dir_all(folder.path().join("a")).unwrap();
    symlink(secret.path(), folder.path().join("a")).unwrap();
    let mut read = Vec::new();
    let path = PathBuf::from("a/secret");
    assert!(contents.copy(&path, 6, &mut read).is_err());
    assert!(read.is_empty());
}

#[test]
fn pipes_are_left_out_with_a_warning() {
    let folder = made(&[("a", "1")]);
    let socket = folder.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
    let snapshot = snapshot(&folder);
    assert_eq!(paths(&snapshot), ["a"]);
    assert_eq!(snapshot.warnings().len(), 1);
}
