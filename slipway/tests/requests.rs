//! HTTP/1.1 at the program's own door: what is too large is refused, what can be read in two
//! ways is read in one or ends the connection (RFC 9112 §11.2).

#![expect(clippy::unwrap_used, reason = "helpers of tests panic to report")]

mod support;

use std::fmt::Write as _;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use support::Server;

/// A whole request that must never be answered when it stands inside another.
const HIDDEN: &str = "GET /v2/hidden/manifests/v1 HTTP/1.1\r\nhost: x\r\n\r\n";

/// All that comes back for these bytes, up to the connection's end. The client keeps its side
/// open, so that a server that waits for more fails.
fn answer(server: &Server, bytes: &str) -> String {
    let mut stream = TcpStream::connect(&server.host).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(40)))
        .unwrap();
    // The server may have refused before it has read everything.
    let _ = stream.write_all(bytes.as_bytes());
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert_ne!(error.kind(), ErrorKind::WouldBlock, "it waits: {bytes:?}");
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or("none")
}

fn statuses(answer: &str) -> Vec<&str> {
    answer
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|one| &one[..3])
        .collect()
}

#[test]
fn headers_are_bounded_in_number_and_size() {
    let server = Server::start("");
    let with = |number: usize, size: usize| {
        let mut headers = String::new();
        // `host` and `connection` are two.
        for nth in 2..number {
            write!(headers, "x-{nth}: {}\r\n", "y".repeat(size)).unwrap();
        }
        server.get("/v2/", &headers)
    };
    assert_eq!(status(&with(100, 1)), "200");
    assert_eq!(status(&with(101, 1)), "431");
    assert_eq!(status(&with(3, 60 << 10)), "200");
    let refused = ["431", "none"];
    assert!(refused.contains(&status(&with(3, 66 << 10))));
    // Not one header, nor their end, but together.
    assert!(refused.contains(&status(&with(80, 1 << 10))));
    let path = format!("/v2/{}", "a".repeat(70 << 10));
    assert!(["414", "431", "none"].contains(&status(&server.get(&path, ""))));
}

/// Each of these has a second reading in which `HIDDEN` is a request of its own, or in which what
/// is one here is none elsewhere.
#[test]
fn rustsec_2020_0008_2017_0002_2021_0081_what_has_two_readings_hides_no_request() {
    let server = Server::start("");
    let length = HIDDEN.len();
    let posts = [
        (
            "CL.TE",
            format!("content-length: {length}\r\ntransfer-encoding: chunked"),
            "0\r\n\r\n",
        ),
        (
            "TE.CL",
            "transfer-encoding: chunked\r\ncontent-length: 4".to_owned(),
            "0\r\n\r\n",
        ),
        (
            "TE.TE",
            "transfer-encoding: chunked\r\ntransfer-encoding: identity".to_owned(),
            "0\r\n\r\n",
        ),
        (
            "TE, not last",
            "transfer-encoding: chunked, gzip".to_owned(),
            "0\r\n\r\n",
        ),
        (
            "TE before a space",
            "transfer-encoding : chunked".to_owned(),
            "0\r\n\r\n",
        ),
        (
            "TE after a tab",
            "transfer-encoding:\tchunked\r\ncontent-length: 4".to_owned(),
            "0\r\n\r\n",
        ),
        (
            "CL.CL",
            format!("content-length: 0\r\ncontent-length: {length}"),
            "",
        ),
        ("CL in a list", format!("content-length: 0, {length}"), ""),
        ("CL with a plus", format!("content-length: +{length}"), ""),
        ("CL in hexadecimal", "content-length: 0x0".to_owned(), ""),
        (
            "CL that overflows",
            "content-length: 18446744073709551616".to_owned(),
            "",
        ),
        (
            "obs-fold of TE",
            "transfer-encoding:\r\n chunked".to_owned(),
            "0\r\n\r\n",
        ),
        ("obs-fold of CL", "content-length:\r\n 0".to_owned(), ""),
        (
            "a bare CR",
            "x: y\rtransfer-encoding: chunked".to_owned(),
            "0\r\n\r\n",
        ),
        (
            "bare LF in a chunk",
            "transfer-encoding: chunked".to_owned(),
            "0\n\n",
        ),
        (
            "a chunk that overflows",
            "transfer-encoding: chunked".to_owned(),
            "10000000000000000\r\n",
        ),
        (
            "a chunk's extension with LF",
            "transfer-encoding: chunked".to_owned(),
            "0;a\nb\r\n\r\n",
        ),
        (
            "TE of HTTP/1.0",
            "transfer-encoding: chunked".to_owned(),
            "0\r\n\r\n",
        ),
    ];
    for (name, headers, body) in posts {
        let version = if name.ends_with("1.0") { "1.0" } else { "1.1" };
        let bytes = format!(
            "POST /v2/a/blobs/uploads/ HTTP/{version}\r\nhost: x\r\n{headers}\r\n\r\n{body}{HIDDEN}"
        );
        let answer = answer(&server, &bytes);
        println!("{name}: {:?}", statuses(&answer));
        assert!(statuses(&answer).len() <= 1, "{name}: {answer}");
        assert!(!answer.contains("MANIFEST_UNKNOWN"), "{name}: {answer}");
    }
}

/// A refusal that leaves the body unread must not take the body for the next request.
#[test]
fn cl_0_a_body_that_nobody_reads_is_no_request() {
    let server = Server::start("");
    for method in ["GET", "HEAD", "DELETE", "POST", "PUT", "PATCH", "OPTIONS"] {
        for path in [
            "/v2/",
            "/v2/a/manifests/v1",
            "/v2/../x",
            "/healthz",
            "/nothing",
        ] {
            let bytes = format!(
                "{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{HIDDEN}\
                 GET /v2/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
                HIDDEN.len()
            );
            let answer = answer(&server, &bytes);
            assert!(statuses(&answer).len() <= 2, "{method} {path}: {answer}");
            if statuses(&answer).len() == 2 {
                assert_eq!(statuses(&answer)[1], "200", "{method} {path}: {answer}");
            }
        }
    }
}

/// What follows a refused CONNECT may be meant for a tunnel, by a proxy that took it for granted.
#[test]
fn cve_2026_71324_nothing_is_read_after_a_refused_connect() {
    let server = Server::start("");
    for target in ["x:443", "/v2/", "http://x/v2/"] {
        let bytes = format!("CONNECT {target} HTTP/1.1\r\nhost: x\r\n\r\n{HIDDEN}");
        let answer = answer(&server, &bytes);
        println!("{target}: {:?}", statuses(&answer));
        assert!(statuses(&answer).len() <= 1, "{target}: {answer}");
        assert!(!answer.starts_with("HTTP/1.1 2"), "{target}: {answer}");
    }
}

#[test]
fn a_host_is_named_once() {
    let server = Server::start("");
    for hosts in ["", "host: x\r\nhost: y\r\n", "host: x\r\nhost: x\r\n"] {
        let bytes = format!("GET /v2/ HTTP/1.1\r\n{hosts}connection: close\r\n\r\n");
        assert_eq!(status(&answer(&server, &bytes)), "400", "{hosts:?}");
    }
}

#[test]
fn lines_may_end_in_lf_but_not_within() {
    let server = Server::start("");
    for (what, bytes) in [
        (
            "obs-fold",
            "GET /v2/ HTTP/1.1\r\nhost: x\r\nx: y\r\n z\r\nconnection: close\r\n\r\n",
        ),
        (
            "a space before the first",
            "GET /v2/ HTTP/1.1\r\n x: y\r\nhost: x\r\n\r\n",
        ),
        ("NUL", "GET /v2/ HTTP/1.1\r\nhost: x\r\nx: \0\r\n\r\n"),
        ("no colon", "GET /v2/ HTTP/1.1\r\nhost: x\r\nx\r\n\r\n"),
        ("two spaces", "GET  /v2/ HTTP/1.1\r\nhost: x\r\n\r\n"),
        ("another version", "GET /v2/ HTTP/1.2\r\nhost: x\r\n\r\n"),
        ("no version", "GET /v2/\r\n\r\n"),
    ] {
        let answer = answer(&server, bytes);
        assert_eq!(status(&answer), "400", "{what}: {answer}");
    }
    let bytes = "GET /v2/ HTTP/1.1\nhost: x\nconnection: close\n\n";
    assert_eq!(status(&answer(&server, bytes)), "200");
}

#[test]
fn a_body_is_asked_for_where_it_is_expected() {
    let server = Server::start("");
    let mut stream = TcpStream::connect(&server.host).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(40)))
        .unwrap();
    stream
        .write_all(
            b"PUT /v2/a/manifests/v1 HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\
              content-type: application/vnd.oci.image.manifest.v1+json\r\n\
              expect: 100-continue\r\nconnection: close\r\n\r\n",
        )
        .unwrap();
    let mut first = [0; 25];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"{}").unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert_eq!(status(&rest), "400", "{rest}");
}
