use std::os::unix::fs::symlink;
use std::process::Command;

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
    snapshot_of(folder.path())
}

fn snapshot_of(folder: &Path) -> Snapshot {
    directory(
        folder,
        IgnoreMode::Classic,
        SourceLimits::default(),
        &std::env::temp_dir(),
    )
    .unwrap()
}

/// As git would have it, of a user whose own file ignores `*.swp`.
fn of_user(folder: &Path) -> Snapshot {
    let excludes = made(&[("ignore", "*.swp\n")]);
    let excludes = excludes.path().join("ignore");
    let scratch = std::env::temp_dir();
    let limits = SourceLimits::default();
    let mode = IgnoreMode::Classic;
    let snapshot = taken(folder, mode, limits, (&scratch, Some(&excludes))).unwrap();
    let setting = format!("core.excludesFile={}", excludes.display());
    let list = ["-c", &setting, "ls-files", "-co", "--exclude-standard"];
    let said = git(folder, &list);
    let expected = said.lines().filter(|path| {
        let is_there = folder.join(path).symlink_metadata();
        // Git lists a repository in another one, and not what is in it.
        is_there.is_ok_and(|found| !found.is_dir())
    });
    let mut expected: Vec<_> = expected.collect();
    expected.sort_unstable();
    let files = paths(&snapshot).into_iter();
    let files: Vec<_> = files
        .filter(|path| !path.ends_with('/') && !path.starts_with("sub/"))
        .collect();
    assert_eq!(files, expected, "what git says of {}", folder.display());
    snapshot
}

fn git(folder: &Path, words: &[&str]) -> String {
    let said = Command::new("git")
        .args(["-c", "user.name=a", "-c", "user.email=a@example.com"])
        .args(["-c", "protocol.file.allow=always"])
        .args(words)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    let why = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "git {words:?}: {why}");
    String::from_utf8(said.stdout).unwrap()
}

fn write(folder: &Path, files: &[&str]) {
    for path in files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x").unwrap();
    }
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

/// A repository with files that it tracks, and ones that it ignores, in `svc`.
fn repository() -> tempfile::TempDir {
    let folder = made(&[
        (".gitignore", "\u{feff}*.env\n/svc/gen/\n/svc/old\n"),
        ("svc/.gitignore", "*.tmp\n!keep.env\n"),
    ]);
    let top = folder.path();
    git(top, &["init", "--quiet"]);
    std::fs::create_dir_all(top.join(".git/info")).unwrap();
    std::fs::write(top.join(".git/info/exclude"), "local\n").unwrap();
    let tracked = [
        "svc/app.py",
        "svc/tracked.tmp",
        "svc/gone.tmp",
        "svc/tracked.swp",
        "svc/gen/deep/tracked",
        "svc/old/tracked",
    ];
    write(top, &tracked);
    git(top, &["add", "--force", "."]);
    git(top, &["commit", "--quiet", "--message=x"]);
    std::fs::remove_file(top.join("svc/gone.tmp")).unwrap();
    write(top, &IGNORED);
    write(top, &["svc/keep.env", "svc/new"]);
    folder
}

/// All that a repository's rules name, but for what is tracked.
const IGNORED: [&str; 7] = [
    "svc/.env",
    "svc/local",
    "svc/other.tmp",
    "svc/other.swp",
    "svc/gen/made",
    "svc/gen/deep/made",
    "svc/old/made",
];

/// What is sent of `svc`.
const SENT: [&str; 11] = [
    ".gitignore",
    "app.py",
    "gen/",
    "gen/deep/",
    "gen/deep/tracked",
    "keep.env",
    "new",
    "old/",
    "old/tracked",
    "tracked.swp",
    "tracked.tmp",
];

#[test]
fn what_a_repository_ignores_is_left_out_and_what_it_tracks_is_not() {
    let folder = repository();
    let snapshot = of_user(&folder.path().join("svc"));
    assert_eq!(paths(&snapshot), SENT);
    assert_eq!(snapshot.left_out(), IGNORED.len());
    assert_eq!(snapshot.files(), 8);
    let from_top = of_user(folder.path());
    assert_eq!(from_top.left_out(), IGNORED.len());
    assert!(from_top.warnings().is_empty(), "{:?}", from_top.warnings());
    // A folder that is ignored and yet asked for has only what is ignored by its own name left out.
    std::fs::write(folder.path().join("svc/gen/.env"), "x").unwrap();
    let asked_for = snapshot_of(&folder.path().join("svc/gen"));
    assert_eq!(
        paths(&asked_for),
        ["deep/", "deep/made", "deep/tracked", "made"]
    );
}

#[test]
fn a_checkout_is_its_commit_whatever_its_user_ignores() {
    let folder = repository();
    let other = tempfile::tempdir().unwrap();
    let other = other.path().join("clone");
    let clone = ["clone", "--quiet", ".", other.to_str().unwrap()];
    git(folder.path(), &clone);
    let snapshot = of_user(&other);
    assert_eq!(snapshot.left_out(), 0);
    let listed = git(&other, &["ls-tree", "-r", "--name-only", "HEAD"]);
    assert_eq!(listed.lines().count(), snapshot.files());
}

#[test]
fn a_work_tree_beside_another_and_a_submodule_have_their_repository_s_rules() {
    let folder = repository();
    let places = tempfile::tempdir().unwrap();
    let beside = places.path().join("beside");
    let add = ["worktree", "add", "--quiet", beside.to_str().unwrap()];
    git(folder.path(), &add);
    write(&beside, &IGNORED);
    std::fs::remove_file(beside.join("svc/gone.tmp")).unwrap();
    write(&beside, &["svc/keep.env", "svc/new"]);
    assert_eq!(paths(&of_user(&beside.join("svc"))), SENT);

    let whole = made(&[(".gitignore", "*.py\n"), ("a.py", "x"), ("a", "x")]);
    let whole = whole.path();
    git(whole, &["init", "--quiet"]);
    let from = folder.path().to_str().unwrap();
    git(whole, &["submodule", "--quiet", "add", from, "sub"]);
    let sub = whole.join("sub");
    let info = whole.join(".git/modules/sub/info");
    std::fs::create_dir_all(&info).unwrap();
    std::fs::write(info.join("exclude"), "local\n").unwrap();
    write(&sub, &IGNORED);
    std::fs::remove_file(sub.join("svc/gone.tmp")).unwrap();
    write(&sub, &["svc/keep.env", "svc/new"]);
    assert_eq!(paths(&of_user(&sub.join("svc"))), SENT);
    let all = of_user(whole);
    assert_eq!(all.left_out(), IGNORED.len() + 1);
    let below = paths(&all).into_iter();
    let below = below.filter_map(|path| Some(path.strip_prefix("sub/svc/")?.to_owned()));
    let below: Vec<_> = below.filter(|path| !path.is_empty()).collect();
    assert_eq!(below, SENT);
}

#[test]
fn rules_hold_where_git_cannot_be_asked_and_end_where_the_repository_does() {
    let folder = made(&[
        (".gitignore", "*.env\n"),
        ("svc/.gitignore", "*.log\n"),
        ("svc/a.env", "x"),
        ("svc/a.log", "x"),
    ]);
    let svc = folder.path().join("svc");
    assert_eq!(paths(&snapshot_of(&svc)), [".gitignore", "a.env"]);
    std::fs::create_dir(folder.path().join(".git")).unwrap();
    assert_eq!(paths(&snapshot_of(&svc)), [".gitignore", "a.env"]);
    std::fs::remove_dir(folder.path().join(".git")).unwrap();
    std::fs::write(folder.path().join(".git"), "gitdir: /nonexistent\n").unwrap();
    let snapshot = snapshot_of(&svc);
    assert_eq!(paths(&snapshot), [".gitignore"]);
    let warnings = snapshot.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let said = warnings[0].to_string();
    assert!(said.contains("git cannot be asked"), "{said}");
}

#[test]
fn a_pattern_that_is_none_is_passed_over_and_the_others_count() {
    let folder = made(&[("a.log", "x"), ("b.env", "x"), ("keep", "x")]);
    std::fs::write(folder.path().join(".gitignore"), b"\xff*\n{a\n*.log\n*.env").unwrap();
    let snapshot = snapshot(&folder);
    assert_eq!(paths(&snapshot), [".gitignore", "keep"]);
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
