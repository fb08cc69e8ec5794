//! SIGTERM: what is under way finishes, nothing new is taken.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tests::api::digest_of;
use tests::{Api, Lab, OrFail, Server, Settings, daemon};

/// More than the kernel's socket buffers take, so that most of it is still to be sent.
const SIZE: usize = 64 << 20;

fn noise(size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    fastrand::fill(&mut bytes);
    bytes
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(&server.endpoint().host).or_fail("connect");
    stream
        .set_read_timeout(Some(daemon::PATIENCE))
        .or_fail("set a time-out");
    stream
}

/// Waits until the server takes no new connection any more.
fn wait_refused(server: &Server) {
    let begun = Instant::now();
    while TcpStream::connect(&server.endpoint().host).is_ok() {
        assert!(
            begun.elapsed() < daemon::PATIENCE,
            "still takes connections after SIGTERM"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).or_fail("read a reply's head");
        head.extend(byte);
    }
    String::from_utf8_lossy(&head).to_ascii_lowercase()
}

#[test]
fn a_pull_in_flight_at_sigterm_finishes_and_new_connections_are_refused() {
    let lab = Lab::new("drain-pull");
    let mut server = Server::start(&lab, &Settings::default());
    let blob = noise(SIZE);
    let digest = digest_of(&blob);
    let _ = Api::new(server.endpoint())
        .push_blob("team/app", &blob)
        .or_fail("push")
        .expect(201);

    let mut stream = connect(&server);
    write!(
        stream,
        "GET /v2/team/app/blobs/{digest} HTTP/1.1\r\nHost: {}\r\n\r\n",
        server.endpoint().host
    )
    .or_fail("ask for the blob");
    let head = read_head(&mut stream);
    assert!(head.starts_with("http/1.1 200"), "{head}");

    server.daemon().signal(Signal::TERM);
    wait_refused(&server);
    let mut body = vec![0; SIZE];
    stream
        .read_exact(&mut body)
        .or_fail("read the rest of the blob");
    assert_eq!(digest_of(&body), digest);
    drop(stream);
    let status = server.daemon().wait();
    assert!(status.success(), "the server ended with {status}");
}

#[test]
fn a_push_in_flight_at_sigterm_finishes_and_is_kept() {
    let lab = Lab::new("drain-push");
    let mut server = Server::start(&lab, &Settings::default());
    let api = Api::new(server.endpoint());
    let blob = noise(8 << 20);
    let digest = digest_of(&blob);
    let location = api.open_upload("team/app").or_fail("open an upload");
    let location = location.unwrap_or_else(|refusal| tests::fail(refusal.text()));
    let query = location
        .query()
        .map(|query| format!("{query}&"))
        .unwrap_or_default();

    let mut stream = connect(&server);
    write!(
        stream,
        "PUT {}?{query}digest={digest} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nContent-Type: application/octet-stream\r\n\r\n",
        location.path(),
        server.endpoint().host,
        blob.len()
    )
    .or_fail("begin the push");
    let (first, rest) = blob.split_at(blob.len() / 2);
    stream.write_all(first).or_fail("send the first half");
    server.daemon().signal(Signal::TERM);
    wait_refused(&server);
    stream.write_all(rest).or_fail("send the second half");
    let head = read_head(&mut stream);
    assert!(head.starts_with("http/1.1 201"), "{head}");
    drop(stream);
    server.daemon().wait();

    server.start_again();
    let back = api
        .get(&format!("/v2/team/app/blobs/{digest}"))
        .or_fail("pull")
        .expect(200);
    assert!(back.body == blob, "the blob differs");
}
