use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::*;
use crate::source::git::mirror::Mirrors;
use crate::source::git::objects::Objects;
use crate::source::{FaultClass, SourceLimits};

const TREE: &str = "0123456789abcdef0123456789abcdef01234567";

type Parsed = (Kind, Vec<u8>, ObjectId);

fn entries(bytes: &[u8]) -> Vec<Result<Parsed, Fault>> {
    let mut entries = Entries::of(bytes.to_vec(), &ObjectId::parse(TREE).unwrap());
    let mut found = Vec::new();
    while let Some(entry) = entries.next() {
        found.push(entry.map(|entry| (entry.kind, entry.name.to_vec(), entry.id())));
    }
    found
}

fn entry(mode: &str, name: &[u8]) -> Vec<u8> {
    let id = (0..10).flat_map(|_| [0x0a, 0xf5]);
    let id: Vec<u8> = id.collect();
    [mode.as_bytes(), b" ", name, b"\0", &id].concat()
}

#[test]
fn modes_are_what_git_makes_of_them() {
    let file = |executable| Kind::File { executable };
    let id = ObjectId::parse(&"0af5".repeat(10)).unwrap();
    for (mode, kind) in [
        ("100644", file(false)),
        ("100664", file(false)),
        ("100755", file(true)),
        ("100775", file(true)),
        ("40000", Kind::Folder),
        ("040000", Kind::Folder),
        ("120000", Kind::Link),
        ("160000", Kind::Submodule),
    ] {
        let two = [entry(mode, b"a b"), entry("100644", b"\xff\n")].concat();
        let found = entries(&two);
        assert_eq!(found[0], Ok((kind, b"a b".to_vec(), id.clone())), "{mode}");
        assert_eq!(found[1], Ok((file(false), b"\xff\n".to_vec(), id.clone())));
        assert_eq!(found.len(), 2);
    }
}

#[test]
fn what_is_no_entry_is_refused_and_ends_the_tree() {
    let first = entry("100644", b"A");
    let whole = entry("100644", b"a");
    let cases = [
        entry("20000", b"a"),
        entry("", b"a"),
        entry("100648", b"a"),
        entry("+100644", b"a"),
        entry("000000100644", b"a"),
        entry("100644", b""),
        entry("100644", b"a/b"),
        entry("100644", b"/"),
    ];
    let cut = (1..whole.len()).map(|length| whole[..length].to_vec());
    for case in cases.into_iter().chain(cut) {
        let found = entries(&[&first[..], &case].concat());
        assert!(found[0].is_ok());
        assert!(found[1].is_err(), "{}", case.escape_ascii());
    }
    assert!(entries(b"").is_empty());
}

#[test]
fn folders_are_what_is_left() {
    let bytes = [
        entry("100644", b"a"),
        entry("40000", b"b"),
        entry("120000", b"c"),
        entry("40000", b"d"),
        entry("100644", b"e"),
    ];
    let mut entries = Entries::of(bytes.concat(), &ObjectId::parse(TREE).unwrap());
    let mut kept = 0;
    while let Some(entry) = entries.next() {
        if entry.unwrap().kind == Kind::Folder {
            kept = entries.keep(kept);
        }
    }
    entries.begin_again(kept);
    assert_eq!(entries.next().unwrap().unwrap().name, b"b");
    assert_eq!(entries.next().unwrap().unwrap().name, b"d");
    assert!(entries.next().is_none());
}

#[test]
fn names_are_in_gits_order_and_none_is_there_twice() {
    const FILE: &str = "100644";
    const FOLDER: &str = "40000";
    const SUBMODULE: &str = "160000";
    let tree = |names: &[(&str, &[u8])]| {
        let bytes: Vec<_> = names.iter().map(|(mode, name)| entry(mode, name)).collect();
        entries(&bytes.concat())
    };
    for names in [
        &[
            (FILE, &b"a"[..]),
            (FILE, b"b"),
            (FILE, b"ba"),
            (FOLDER, b"c"),
        ][..],
        // A folder is compared as if its name ended with `/`.
        &[(FILE, b"a-"), (FILE, b"a."), (FOLDER, b"a"), (FILE, b"a0")],
        &[
            (FILE, b"a"),
            (FILE, b"a."),
            (FOLDER, b"a.b"),
            (FOLDER, b"ab"),
        ],
    ] {
        let found = tree(names);
        assert!(found.iter().all(Result::is_ok), "{names:?}: {found:?}");
    }
    for names in [
        &[(FILE, &b"b"[..]), (FILE, b"a")][..],
        &[(FOLDER, b"a"), (FILE, b"a-")],
        &[(FILE, b"a0"), (FOLDER, b"a")],
        &[(FILE, b"a"), (FILE, b"a")],
        &[(FOLDER, b"a"), (FOLDER, b"a")],
        &[(FOLDER, b"a"), (FILE, b"a")],
        &[(FILE, b"a"), (FOLDER, b"a")],
        &[(SUBMODULE, b"a"), (FOLDER, b"a")],
        &[
            (SUBMODULE, b"a"),
            (FILE, b"a-"),
            (FILE, b"a--"),
            (FILE, b"a."),
            (FOLDER, b"a"),
        ],
    ] {
        let found = tree(names);
        let (last, before) = found.split_last().unwrap();
        assert!(before.iter().all(Result::is_ok), "{names:?}: {found:?}");
        assert!(last.is_err(), "{names:?}");
    }
}

/// A repository of ours into which somebody put an object that git would not have fetched.
#[tokio::test]
async fn a_folder_that_is_there_twice_is_gone_into_by_nobody() {
    let root = tempfile::tempdir().unwrap();
    let mirrors = Mirrors::new(root.path().to_path_buf());
    let url = "https://git.example.com/x".parse().unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    let mirror = mirrors.take("a", &url, until).await.unwrap();
    let inner = store(mirror.folder(), &entry("160000", b"a"));
    let folder = |name: &[u8]| {
        let id = inner.as_str().as_bytes().chunks(2);
        let digits = id.map(|pair| std::str::from_utf8(pair).unwrap());
        let id: Vec<u8> = digits
            .map(|pair| u8::from_str_radix(pair, 16).unwrap())
            .collect();
        [b"40000 ", name, b"\0", &id].concat()
    };
    let good = store(mirror.folder(), &[folder(b"a"), folder(b"b")].concat());
    let twice = store(mirror.folder(), &[folder(b"a"), folder(b"a")].concat());
    let limits = SourceLimits::default();
    let stop = CancellationToken::new();
    let objects = Objects::of(mirror.folder(), mirrors.sessions(), limits, until, stop);
    let objects = objects.await.unwrap();
    let listed = |tree: ObjectId| {
        let objects = objects.clone();
        tokio::task::spawn_blocking(move || {
            let mut paths = Vec::new();
            let ended = list(&mut objects.reader(), &tree, |_, listed| {
                paths.push(String::from_utf8(listed.path).unwrap());
                Ok(())
            });
            (ended, paths)
        })
    };
    let (ended, paths) = listed(good).await.unwrap();
    assert_eq!(ended, Ok(()));
    assert_eq!(paths, ["a", "b", "a/a", "b/a"]);
    let (ended, paths) = listed(twice).await.unwrap();
    assert_eq!(ended.unwrap_err().class(), FaultClass::SourceRefused);
    assert!(paths.is_empty(), "{paths:?}");
}

/// Puts a tree into a repository, however malformed.
fn store(repository: &Path, tree: &[u8]) -> ObjectId {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), tree).unwrap();
    let made = Command::new("git")
        .env("GIT_DIR", repository)
        // The folder is the user's whom git is for us.
        .args(["-c", "safe.directory=*", "hash-object", "-t", "tree"])
        .args(["-w", "--literally"])
        .arg(file.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&made.stderr).into_owned();
    ObjectId::parse(String::from_utf8(made.stdout).unwrap().trim()).expect(&said)
}
