//! Trees that no `git add` would make.

use builder::source::FaultClass;

use super::{Canaries, Expected, check, whole};
use crate::repository::Repository;
use crate::servers::Servers;

const REFUSED: Expected = Expected::Fault(FaultClass::SourceRefused);

type Made = fn(&Repository<'_>) -> String;

/// One file of this name.
fn named(repository: &Repository<'_>, name: &[u8]) -> String {
    let blob = repository.blob(b"x");
    repository.tree(&[("100644", name, blob)])
}

/// One link to this.
fn link(repository: &Repository<'_>, target: &[u8]) -> String {
    let target = repository.blob(target);
    repository.tree(&[("120000", b"a", target)])
}

const TREES: &[(&str, Made, Expected)] = &[
    (
        "a hook",
        |r| {
            let hook = r.blob(b"#!/bin/sh\ntouch canary-made\n");
            let hooks = r.tree(&[("100755", b"post-checkout", hook)]);
            let git = r.tree(&[("40000", b"hooks", hooks)]);
            r.tree(&[("40000", b".git", git)])
        },
        REFUSED,
    ),
    ("git in capitals", |r| named(r, b".GIT"), REFUSED),
    (
        "git as Windows shortens it",
        |r| named(r, b"git~1"),
        REFUSED,
    ),
    (
        "git with letters that nobody sees",
        |r| named(r, ".g\u{200c}it".as_bytes()),
        REFUSED,
    ),
    (
        "above",
        |r| {
            let up = named(r, b"passwd");
            r.tree(&[("40000", b"..", up)])
        },
        REFUSED,
    ),
    ("here", |r| named(r, b"."), REFUSED),
    (
        "a path as a name",
        |r| named(r, b"../../etc/passwd"),
        REFUSED,
    ),
    (
        "a path below as a name",
        |r| named(r, b"bin/assemble"),
        REFUSED,
    ),
    (
        "an absolute path as a name",
        |r| named(r, b"/etc/passwd"),
        REFUSED,
    ),
    // The server's git refuses to send it.
    (
        "no name",
        |r| named(r, b""),
        Expected::Fault(FaultClass::GitError),
    ),
    (
        "a link and a folder of one name (CVE-2021-21300)",
        |r| {
            let target = r.blob(b"/etc");
            let folder = named(r, b"passwd");
            r.tree(&[("120000", b"a", target), ("40000", b"a", folder)])
        },
        REFUSED,
    ),
    (
        "two files of one name",
        |r| {
            let (one, two) = (r.blob(b"1"), r.blob(b"2"));
            r.tree(&[("100644", b"a", one), ("100755", b"a", two)])
        },
        REFUSED,
    ),
    (
        "a device's mode",
        |r| {
            let blob = r.blob(b"x");
            r.tree(&[("20000", b"a", blob)])
        },
        REFUSED,
    ),
    (
        "a link out is only a link",
        |r| link(r, b"/etc/passwd"),
        Expected::Paths(&["a"]),
    ),
    (
        "a link upwards is only a link",
        |r| link(r, b"../../x"),
        Expected::Paths(&["a"]),
    ),
    ("a link to nothing", |r| link(r, b""), REFUSED),
    ("a link with a NUL", |r| link(r, b"a\0b"), REFUSED),
    ("a very long link", |r| link(r, &[b'a'; 10_000]), REFUSED),
    (
        "backslashes are letters",
        |r| named(r, b"..\\..\\x"),
        Expected::Paths(&["..\\..\\x"]),
    ),
    (
        "lines in names",
        |r| named(r, b"a\nb\t100644 c"),
        Expected::Paths(&["a\nb\t100644 c"]),
    ),
    (
        "a filter",
        |r| {
            let attributes = r.blob(b"* filter=evil export-ignore\n");
            let blob = r.blob(b"x");
            r.tree(&[
                ("100644", b".gitattributes", attributes),
                ("100644", b"a", blob),
            ])
        },
        Expected::Paths(&[".gitattributes", "a"]),
    ),
    (
        "a configuration of LFS",
        |r| {
            let config = r.blob(b"[lfs]\n\turl = https://169.254.169.254/\n");
            r.tree(&[("100644", b".lfsconfig", config)])
        },
        Expected::Paths(&[".lfsconfig"]),
    ),
];

#[tokio::test]
async fn t75_trees_cannot_lead_out() {
    let servers = Servers::start("trees");
    let canaries = Canaries::set(&servers);
    for (number, (case, made, expected)) in TREES.iter().enumerate() {
        let path = format!("public/case-{number}.git");
        let repository = servers.repository(&path);
        let tree = made(&repository);
        repository.commit("main", &tree, case);
        check(case, servers.fetch(&whole(&servers, &path)).await, expected);
        canaries.check(case);
    }
}
