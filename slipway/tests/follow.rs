//! `slipway build events --follow` beside a server that goes and comes, and answers that no waiting mends.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic to report")]

mod support;

use std::net::TcpListener;
use std::process::Output;

use support::{run, slipway, stdout, stub};

const NONE: (&str, &str) = ("200 OK", r#"{"items": []}"#);
const EVENT: (&str, &str) = (
    "200 OK",
    r#"{"items": [{"position": 1, "id": "a", "kind": "build.failed", "run": "app-1", "at": 0, "reason": "Machine", "message": "no"}]}"#,
);
/// Its body is to be longer.
const CUT: (&str, &str) = ("200 OK\r\nTransfer-Encoding: chunked", "ff\r\n{");
const BUSY: (&str, &str) = ("503 Service Unavailable", "");
const REVOKED: (&str, &str) = ("401 Unauthorized", "");

/// What somebody sees who follows a server that gives these answers one after the other, and the last again and again.
fn followed(more: &[&str], answers: &'static [(&str, &str)]) -> (Output, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let mut answers = answers.iter().peekable();
    let mut last = *answers.peek().unwrap();
    stub::serve(listener, move |_, _| {
        last = answers.next().unwrap_or(last);
        (last.0.to_owned(), last.1.to_owned())
    });
    let mut command = slipway();
    command.args(["build", "events", "-n", "team", "--follow"]);
    command.args(more);
    let output = run(command.args(["--server", &host, "--plain-http"]), "");
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    (output, said)
}

#[test]
fn a_server_that_is_away_for_a_while_is_waited_for() {
    let (output, said) = followed(&[], &[NONE, CUT, BUSY, EVENT, REVOKED]);
    assert!(stdout(&output).contains("app-1"), "{output:?}");
    let said: Vec<&str> = said.lines().collect();
    let [away, again, end] = said[..] else {
        panic!("{said:#?}");
    };
    assert!(away.ends_with("does not answer: trying on"), "{away}");
    assert!(again.ends_with("answers again"), "{again}");
    assert!(end.contains("slipway login"), "{end}");
    assert!(!output.status.success());
}

/// As deployers read it: of each key there is one.
#[derive(Debug, serde::Deserialize, PartialEq)]
struct Succeeded {
    repository: String,
    digest: String,
    tags: Vec<String>,
    build: String,
}

#[test]
fn a_line_for_programs_is_the_event_as_the_server_says_it() {
    const PUBLISHED: &str = r#"{"items": [{"position": 1, "id": "a", "kind": "build.succeeded", "run": "app-1", "build": "app",
        "at": 0, "repository": "team/app", "digest": "sha256:0", "tags": ["v1"], "ofALaterServer": null}]}"#;
    let (output, _) = followed(&["--json"], &[("200 OK", PUBLISHED), REVOKED]);
    let line = stdout(&output);
    let read: Succeeded = serde_json::from_str(&line).unwrap();
    let expected = Succeeded {
        repository: "team/app".to_owned(),
        digest: "sha256:0".to_owned(),
        tags: vec!["v1".to_owned()],
        build: "app".to_owned(),
    };
    assert_eq!(read, expected);
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let sent: serde_json::Value = serde_json::from_str(PUBLISHED).unwrap();
    assert_eq!(line, sent["items"][0]);
}

#[test]
fn a_server_that_was_never_there_is_not_waited_for() {
    let mut command = slipway();
    command.args(["build", "events", "-n", "team", "--follow"]);
    // Where nobody listens, and no test is given a port.
    let output = run(
        command.args(["--server", "localhost:1", "--plain-http"]),
        "",
    );
    let said = support::error_line(&output);
    assert!(said.contains("connection refused"), "{said}");
}
