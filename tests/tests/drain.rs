//! SIGTERM: what is under way finishes, nothing new is taken.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use rustix::process::Signal;
use tests::api::digest_of;
use tests::{Api, Lab, OrFail, Server, Settings, daemon, tls, until};

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
    until("after SIGTERM it takes no connection", || {
        TcpStream::connect(&server.endpoint().host).is_err()
    });
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

#[test]
fn over_http_2_and_tls_a_pull_in_flight_finishes_and_its_connection_is_closed() {
    let lab = Lab::new("drain-h2");
    let authority = tls::Authority::new(&lab);
    let settings = Settings {
        tls: Some((
            authority.certificate.clone(),
            authority.issue(&lab, "server"),
        )),
        more: "drainTimeout: 1h\n".to_owned(),
        ..Settings::default()
    };
    let mut server = Server::start(&lab, &settings);
    let blob = noise(SIZE);
    let digest = digest_of(&blob);
    let _ = Api::new(server.endpoint())
        .push_blob("team/app", &blob)
        .or_fail("push")
        .expect(201);

    let pem = std::fs::read(&authority.certificate).or_fail("read the authority");
    let client = reqwest::blocking::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(&pem).or_fail("parse the authority")])
        .timeout(daemon::PATIENCE)
        .no_proxy()
        .build()
        .or_fail("make a client");
    let url = server
        .endpoint()
        .url(&format!("/v2/team/app/blobs/{digest}"));
    let mut reply = client.get(&url).send().or_fail("ask for the blob");
    assert_eq!(reply.version(), reqwest::Version::HTTP_2);
    assert_eq!(reply.status(), 200);

    server.daemon().signal(Signal::TERM);
    wait_refused(&server);
    let mut body = Vec::with_capacity(SIZE);
    reply
        .read_to_end(&mut body)
        .or_fail("read the rest of the blob");
    assert_eq!(digest_of(&body), digest);
    // The client keeps its connection for the next request; the server has said GOAWAY.
    let status = server.daemon().wait();
    assert!(status.success(), "the server ended with {status}");
    assert!(!server.log().contains("cut off"), "{}", server.log());
    drop(client);
}

/// Asks for a blob and takes nothing of it.
fn pull_without_end(server: &Server) -> TcpStream {
    let blob = noise(SIZE);
    let _ = Api::new(server.endpoint())
        .push_blob("team/app", &blob)
        .or_fail("push")
        .expect(201);
    let mut stream = connect(server);
    write!(
        stream,
        "GET /v2/team/app/blobs/{} HTTP/1.1\r\nHost: {}\r\n\r\n",
        digest_of(&blob),
        server.endpoint().host
    )
    .or_fail("ask for the blob");
    let head = read_head(&mut stream);
    assert!(head.starts_with("http/1.1 200"), "{head}");
    stream
}

/// What comes to an end although the pull does not.
fn assert_cut_off(mut server: Server, mut stream: TcpStream, why: &str) {
    let status = server.daemon().wait();
    assert!(status.success(), "the server ended with {status}");
    let log = server.log();
    assert!(log.contains("cut off") && log.contains(why), "{log}");
    assert!(log.contains("stopped"), "{log}");
    let mut body = Vec::new();
    let _ = stream.read_to_end(&mut body);
    assert!(body.len() < SIZE, "the whole blob was sent");
}

/// A server with this drain time-out that was told to end, and a pull from it that nobody reads.
fn drain_a_pull_without_end(lab: &Lab, time_out: &str) -> (Server, TcpStream) {
    let settings = Settings {
        more: format!("drainTimeout: {time_out}\n"),
        ..Settings::default()
    };
    let mut server = Server::start(lab, &settings);
    let stream = pull_without_end(&server);
    server.daemon().signal(Signal::TERM);
    (server, stream)
}

#[test]
fn a_pull_that_never_ends_is_cut_off_at_the_drain_time_out() {
    let lab = Lab::new("drain-cut");
    let (server, stream) = drain_a_pull_without_end(&lab, "2s");
    assert_cut_off(server, stream, "the drain time-out has passed");
}

#[test]
fn a_second_signal_does_not_wait_for_the_drain_time_out() {
    let lab = Lab::new("drain-twice");
    let (mut server, stream) = drain_a_pull_without_end(&lab, "1h");
    wait_refused(&server);
    assert!(server.daemon().runs(), "it did not drain");
    server.daemon().signal(Signal::INT);
    assert_cut_off(server, stream, "a second signal came");
}
