use std::process::Command;

use oci::Algorithm;

use super::*;
use crate::source::SourceLimits;

/// Content that is in memory.
struct Given;

impl Contents<&'static [u8]> for Given {
    fn copy(&mut self, content: &&'static [u8], _: u64, to: &mut dyn Write) -> Result<(), Fault> {
        to.write_all(content).unwrap();
        Ok(())
    }
}

fn file(content: &'static [u8], executable: bool) -> Node<&'static [u8]> {
    Node::File {
        executable,
        size: content.len() as u64,
        content,
    }
}

fn tree(nodes: Vec<(Vec<u8>, Node<&'static [u8]>)>) -> Tree<&'static [u8]> {
    let mut tree = Tree::new(SourceLimits::default());
    for (path, node) in nodes {
        tree.insert(&path, node).unwrap();
    }
    tree
}

fn nodes() -> Vec<(Vec<u8>, Node<&'static [u8]>)> {
    let link = Node::Link {
        target: b"../x"[..].into(),
    };
    vec![
        (b"run.sh".to_vec(), file(b"#!/bin/sh\n", true)),
        (b"empty".to_vec(), file(b"", false)),
        (b"d/\xff\xfe".to_vec(), file(&[7; 1025], false)),
        (b"d/link".to_vec(), link),
        ([&b"long/"[..], &[b'n'; 200]].concat(), file(b"x", false)),
        (b".s2i/environment".to_vec(), file(b"A=1\n", false)),
        (b".s2i/bin/assemble".to_vec(), file(b"#!/bin/sh\n", false)),
    ]
}

fn snapshot(nodes: Vec<(Vec<u8>, Node<&'static [u8]>)>) -> Snapshot {
    write(
        tree(nodes),
        &mut Given,
        IgnoreMode::Classic,
        (&std::env::temp_dir(), &Written::default()),
        &CancellationToken::new(),
    )
    .unwrap()
}

#[test]
fn the_same_files_give_the_same_bytes() {
    let mut reversed = nodes();
    reversed.reverse();
    let (first, second) = (snapshot(nodes()), snapshot(reversed));
    assert_eq!(first.digest(), second.digest());
    let mut bytes = Vec::new();
    first.open().unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, first.size());
    assert_eq!(Digest::of(Algorithm::Sha256, &bytes), first.digest());
    assert_eq!(
        first.digest().to_string(),
        "sha256:3df7dc2c3f6d0d136513801e7410fe8a9e055c322ad3542a8cf6abefd5316180",
        "the form changes only with a reason: rebuilds would all differ"
    );
}

#[test]
fn gnu_tar_reads_it() {
    let snapshot = snapshot(nodes());
    let listed = Command::new("tar")
        .args([
            "--list",
            "--verbose",
            "--numeric-owner",
            "--utc",
            "--full-time",
        ])
        .stdin(snapshot.open().unwrap())
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    assert!(listed.status.success(), "{listed:?}");
    let listed = String::from_utf8_lossy(&listed.stdout);
    let squeezed: Vec<String> = listed
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let at = "1980-01-02 00:00:00";
    let long = "n".repeat(200);
    assert_eq!(
        squeezed,
        [
            format!("drwxr-xr-x 0/0 0 {at} .s2i/"),
            format!("drwxr-xr-x 0/0 0 {at} .s2i/bin/"),
            format!("-rw-r--r-- 0/0 10 {at} .s2i/bin/assemble"),
            format!("-rw-r--r-- 0/0 4 {at} .s2i/environment"),
            format!("drwxr-xr-x 0/0 0 {at} d/"),
            format!("lrwxrwxrwx 0/0 0 {at} d/link -> ../x"),
            format!("-rw-r--r-- 0/0 1025 {at} d/\\377\\376"),
            format!("-rw-r--r-- 0/0 0 {at} empty"),
            format!("drwxr-xr-x 0/0 0 {at} long/"),
            format!("-rw-r--r-- 0/0 1 {at} long/{long}"),
            format!("-rwxr-xr-x 0/0 10 {at} run.sh"),
        ]
    );
}

#[test]
fn what_a_plan_needs_is_found() {
    let source = snapshot(nodes()).source();
    assert_eq!(source.environment.as_deref(), Some(&b"A=1\n"[..]));
    let mut scripts = SourceScripts::default();
    scripts.note(".s2i/bin/assemble", ".s2i/bin/assemble");
    assert_eq!(source.scripts, scripts);
}

#[test]
fn variables_are_read_where_links_within_the_source_lead() {
    let link = |target: &[u8]| Node::Link {
        target: target.into(),
    };
    let of = |path: &[u8], target: &[u8]| {
        let nodes = vec![
            (b"ci/environment".to_vec(), file(b"A=1\n", false)),
            (path.to_vec(), link(target)),
        ];
        snapshot(nodes)
    };
    let linked = of(b".s2i", b"ci");
    assert_eq!(linked.environment.as_deref(), Some(&b"A=1\n"[..]));
    assert_eq!(linked.warnings(), []);
    let astray = of(b".s2i/environment", b"/etc/environment");
    assert_eq!(astray.environment, None);
    assert!(astray.warnings()[0].to_string().contains("is not read"));
}

#[test]
fn what_is_ignored_does_not_count() {
    let mut more = nodes();
    more.push((b".s2iignore".to_vec(), file(b".s2iignore\n*.log\n", false)));
    more.push((b"x.log".to_vec(), file(b"noise", false)));
    assert_eq!(snapshot(more).digest(), snapshot(nodes()).digest());
}

#[test]
fn a_file_that_is_shorter_than_it_says_is_refused() {
    let lying = Node::File {
        executable: false,
        size: 5,
        content: &b"four"[..],
    };
    let tree = tree(vec![(b"x".to_vec(), lying)]);
    let written = write(
        tree,
        &mut Given,
        IgnoreMode::Classic,
        (&std::env::temp_dir(), &Written::default()),
        &CancellationToken::new(),
    );
    assert!(written.is_err());
}

#[test]
fn settings_that_are_links_are_not_read() {
    let link = Node::Link {
        target: b"/etc/environment"[..].into(),
    };
    let snapshot = snapshot(vec![(b".s2i/environment".to_vec(), link)]);
    assert_eq!(snapshot.source().environment, None);
    assert_eq!(snapshot.warnings().len(), 1);
}
