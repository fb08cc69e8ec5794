//! HTTP/2 without progress: what is not taken is given up, what is slow lives.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic to report")]

mod support;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use h2::client::{Builder, SendRequest};
use http::{Request, Response};
use sha2::{Digest as _, Sha256};
use support::Server;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long anything may take that should happen; more means that it does not.
const PATIENCE: Duration = Duration::from_secs(40);

type Driver = JoinHandle<Result<(), h2::Error>>;

/// A client that answers pings and settings, and grants each stream `window` bytes.
async fn client(server: &Server, window: u32) -> (SendRequest<Bytes>, Driver) {
    let stream = TcpStream::connect(&server.host).await.unwrap();
    let (client, connection) = Builder::new()
        .initial_window_size(window)
        .initial_connection_window_size(16 << 20)
        .handshake(stream)
        .await
        .unwrap();
    (client.ready().await.unwrap(), tokio::spawn(connection))
}

async fn get(client: &SendRequest<Bytes>, path: &str) -> Response<RecvStream> {
    try_get(client, path).await.unwrap()
}

async fn try_get(
    client: &SendRequest<Bytes>,
    path: &str,
) -> Result<Response<RecvStream>, h2::Error> {
    let mut client = client.clone().ready().await?;
    let request = Request::get(format!("http://x{path}")).body(()).unwrap();
    let (response, _) = client.send_request(request, true)?;
    timeout(PATIENCE, response).await.unwrap()
}

/// A client of a server with `headerTimeout: 1s`, and its first reply.
async fn in_time(
    server: &Server,
    window: u32,
    path: &str,
) -> (SendRequest<Bytes>, Driver, Response<RecvStream>) {
    let mut tries = 0..5;
    loop {
        let begun = Instant::now();
        let (client, driver) = client(server, window).await;
        match try_get(&client, path).await {
            Ok(response) => return (client, driver, response),
            // On a machine that stands still the request came too late.
            Err(error) => {
                let is_late = begun.elapsed() >= Duration::from_secs(1);
                assert!(is_late && tries.next().is_some(), "{error}");
            }
        }
    }
}

/// Pushes a blob of this size; returns it with its path.
fn push(server: &Server, size: usize) -> (Vec<u8>, String) {
    let blob: Vec<u8> = (0..size)
        .map(|at| u8::try_from(at % 251).unwrap())
        .collect();
    let mut hex = String::new();
    for byte in Sha256::digest(&blob) {
        write!(hex, "{byte:02x}").unwrap();
    }
    let mut request = format!(
        "POST /v2/a/blobs/uploads/?digest=sha256:{hex} HTTP/1.1\r\nhost: x\r\n\
         connection: close\r\ncontent-length: {size}\r\n\r\n"
    )
    .into_bytes();
    request.extend_from_slice(&blob);
    let answer = server.http(request);
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    (blob, format!("/v2/a/blobs/sha256:{hex}"))
}

/// The bytes of a reply; the error that ended it.
async fn read(body: &mut RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut all = BytesMut::new();
    while let Some(piece) = timeout(PATIENCE, body.data()).await.unwrap() {
        all.extend_from_slice(&piece?);
    }
    Ok(all.to_vec())
}

/// The same of a client that takes what comes.
async fn take(mut body: RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut all = Vec::new();
    while let Some(piece) = timeout(PATIENCE, body.data()).await.unwrap() {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        all.extend_from_slice(&piece);
    }
    Ok(all)
}

async fn stalled_streams_are_reset(window: u32, size: usize) {
    let server = Server::start("limits: {blobs: 2, sendTimeout: 5s, headerTimeout: 1s}\n");
    let (_, path) = push(&server, size);
    let (client, driver, first) = in_time(&server, window, &path).await;
    let second = get(&client, &path).await;
    assert_eq!([first.status(), second.status()], [200, 200]);
    // As long as they wait, their places are taken.
    let answer = server.get(&path, "");
    assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
    for reply in [first, second] {
        let error = read(&mut reply.into_body()).await.unwrap_err();
        assert_eq!(error.reason(), Some(h2::Reason::CANCEL), "{error}");
    }
    let answer = server.get(&path, "");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // What is left of the connection is idle, and closed in good order.
    timeout(PATIENCE, driver).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_client_that_grants_no_window_loses_its_streams_and_their_places() {
    stalled_streams_are_reset(0, 200 << 10).await;
}

#[tokio::test]
async fn a_client_that_stops_in_the_middle_loses_its_streams_and_their_places() {
    stalled_streams_are_reset(1000, 200 << 10).await;
}

/// All of such a blob is one piece, which h2 takes over for one byte of window.
#[tokio::test]
async fn a_small_blob_keeps_its_place_until_it_is_taken() {
    stalled_streams_are_reset(1, 10 << 10).await;
}

/// A stream that is reset behind its reply, be it without an error, loses the reply to some clients (curl 7.88).
#[tokio::test]
async fn a_refusal_lets_the_client_send_to_the_end() {
    let server = Server::start("");
    let (client, _driver) = client(&server, 64 << 10).await;
    let request = Request::put("http://x/v2/a/manifests/-").body(()).unwrap();
    let mut sender = client.clone().ready().await.unwrap();
    let (response, mut body) = sender.send_request(request, false).unwrap();
    let refusal = timeout(PATIENCE, response).await.unwrap().unwrap();
    assert!(refusal.status().is_client_error(), "{refusal:?}");
    read(&mut refusal.into_body()).await.unwrap();
    // What the server had to say of the stream has come by then.
    get(&client, "/v2/").await;
    body.send_data(Bytes::from_static(b"{}"), false).unwrap();
    get(&client, "/v2/").await;
    body.send_data(Bytes::new(), true).unwrap();
}

#[tokio::test]
async fn a_stalled_stream_takes_no_other_with_it() {
    // On a machine that stands still the other one may have stalled, too: then all that with more time.
    for seconds in [1, 5, 25] {
        let server = Server::start(&format!("limits: {{sendTimeout: {seconds}s}}\n"));
        let (blob, path) = push(&server, 100 << 10);
        let (client, _driver) = client(&server, 64 << 10).await;
        let stalled = get(&client, &path).await;
        let error = read(&mut stalled.into_body()).await.unwrap_err();
        assert_eq!(error.reason(), Some(h2::Reason::CANCEL), "{error}");
        match take(get(&client, &path).await.into_body()).await {
            Ok(taken) => {
                assert!(taken == blob, "the blob differs");
                return;
            }
            Err(error) => assert!(seconds < 25, "{error}"),
        }
    }
}

#[tokio::test]
async fn a_slow_client_that_makes_progress_lives() {
    let server = Server::start("limits: {sendTimeout: 3s, headerTimeout: 3s}\n");
    let (blob, path) = push(&server, 1 << 20);
    let (client, _driver) = client(&server, 64 << 10).await;
    let mut body = get(&client, &path).await.into_body();
    let mut taken = Vec::new();
    let mut owed = 0;
    while let Some(piece) = timeout(PATIENCE, body.data()).await.unwrap() {
        let piece = piece.unwrap();
        taken.extend_from_slice(&piece);
        owed += piece.len();
        if owed >= 48 << 10 {
            // Each is much shorter than both time-outs, and all together are longer.
            tokio::time::sleep(Duration::from_millis(200)).await;
            body.flow_control().release_capacity(owed).unwrap();
            owed = 0;
        }
    }
    assert!(taken == blob, "the blob differs");
}

#[tokio::test]
async fn an_idle_connection_is_told_to_leave() {
    let server = Server::start("limits: {headerTimeout: 1s}\n");
    let (_client, driver, reply) = in_time(&server, 64 << 10, "/v2/").await;
    assert_eq!(reply.status(), 200);
    read(&mut reply.into_body()).await.unwrap();
    // GOAWAY without an error, then the end.
    timeout(PATIENCE, driver).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_connection_that_asks_nothing_is_closed() {
    let server = Server::start("limits: {headerTimeout: 1s}\n");
    let (_client, driver) = client(&server, 64 << 10).await;
    // With or without a farewell.
    let _ = timeout(PATIENCE, driver).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_that_stops_says_so_and_finishes_what_is_under_way() {
    let server = Server::start("");
    let (blob, path) = push(&server, 1 << 20);
    let (client, driver) = client(&server, 64 << 10).await;
    let body = get(&client, &path).await.into_body();
    server.terminate();
    server.line("stopping");
    assert!(take(body).await.unwrap() == blob, "the blob differs");
    // GOAWAY without an error: the client asks elsewhere.
    timeout(PATIENCE, driver).await.unwrap().unwrap().unwrap();
    assert!(client.ready().await.is_err());
    assert!(server.wait());
}
