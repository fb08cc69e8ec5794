//! A reader that closes the pipe wants no more; that is no failure.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic to report")]

mod support;

use std::io::Read as _;
use std::process::{Command, Stdio};

use support::slipway;

/// Runs it with a standard output that nobody reads; returns what it said on standard error.
fn unread(command: &mut Command) -> String {
    // The reader is gone before the program starts, so its first write fails.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = command
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    let status = child.wait().unwrap();
    assert!(status.success(), "{command:?}: {status}: {said}");
    said
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("users");
    std::fs::write(&users, "ada:x\nbob:x\n").unwrap();
    for words in [
        "version",
        "version --json",
        "config print",
        "config check",
        "config schema",
        "completions bash",
        "completions zsh",
    ] {
        let mut command = slipway();
        command.args(words.split(' ')).current_dir(&folder);
        assert_eq!(unread(&mut command), "", "{words}");
    }
    for more in [&[][..], &["--json"]] {
        let mut command = slipway();
        command.args(["user", "list", "--htpasswd"]).arg(&users);
        assert_eq!(unread(command.args(more)), "");
    }
}
