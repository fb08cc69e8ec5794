//! Connections that end before the reply does.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use tokio::io::AsyncReadExt;

use super::harness::{Client, Site, content_length, file_of, noise, zeros};
use super::paths::pair;
use crate::window::STEP;
use crate::{Outlet, Wire, sys};

const LARGE: usize = 48 * STEP;

fn impatient() -> Site {
    Site {
        patience: Duration::from_millis(200),
        ..Site::default()
    }
}

#[tokio::test]
async fn a_client_that_stalls_is_cut_off() {
    for path in ["/file", "/long"] {
        let server = impatient().with("file", &noise(1, LARGE)).serve().await;
        let mut client = server.connect().await;
        client
            .send(&format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n"))
            .await;
        let outcome = server.outcome().await.unwrap_err();
        assert!(outcome.contains("took no byte"), "{path}: {outcome}");
        let got = client.rest().await.len();
        assert!(got < LARGE, "{path}: {got}");
        assert_eq!(server.sendfile_bytes() > 0, path == "/file");
    }
}

#[tokio::test]
async fn a_stalled_stream_without_a_socket_is_cut_off() {
    let site = Arc::new(impatient().with("file", &noise(2, 3 * STEP)));
    let (near, far) = tokio::io::duplex(10_000);
    let mut client = Client::over(near);
    client.send("GET /file HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let wire = Wire::over(far, site.patience);
    let outcome = site.connection(wire, Outlet::default()).await.unwrap_err();
    assert!(outcome.contains("took no byte"), "{outcome}");
}

/// A socket on a slow line calls itself writable rarely; its buffer tells whether bytes leave.
#[tokio::test]
async fn the_send_buffer_shows_progress() {
    let (near, mut far) = pair().await;
    let mut total = 0;
    near.writable().await.unwrap();
    while let Ok(sent) = near.try_write(&vec![7; 64 * 1024]) {
        total += sent;
    }
    let full = sys::unsent(&near).unwrap();
    assert!(full > 0);
    far.read_exact(&mut vec![0; total]).await.unwrap();
    while sys::unsent(&near).unwrap() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_gives_its_addresses_back() {
    let window = zeros();
    let site = Site {
        window: Some(window),
        ..Site::default()
    };
    let server = site.with("file", &noise(3, LARGE)).serve().await;
    let mut client = server.connect().await;
    client.send("GET /file HTTP/1.1\r\nhost: x\r\n\r\n").await;
    client
        .stream
        .read_exact(&mut vec![0; 100_000])
        .await
        .unwrap();
    assert!(window.leased() > 0);
    drop(client);
    server.outcome().await.unwrap_err();
    assert_eq!(window.leased(), 0);
}

#[tokio::test]
async fn a_file_cut_short_while_it_is_sent_aborts_the_connection() {
    let content = noise(4, LARGE);
    let site = Site::default().with("file", &content);
    let file = Arc::clone(&site.files["/file"].0);
    let server = site.serve().await;
    let mut client = server.connect().await;
    client.send("GET /file HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(content_length(&client.head().await.unwrap()), LARGE);
    file.set_len(LARGE as u64 - 4 * STEP as u64).unwrap();
    let body = client.rest().await;
    assert!(body.len() <= LARGE - 4 * STEP, "{}", body.len());
    assert!(content.starts_with(&body));
    let outcome = server.outcome().await.unwrap_err();
    assert!(outcome.contains("the file ends"), "{outcome}");
}

/// The page cache said that the piece is there, and the file is shortened before it is sent.
#[tokio::test]
async fn a_file_cut_short_after_its_piece_was_announced_aborts_the_connection() {
    static FILE: std::sync::OnceLock<Arc<std::fs::File>> = std::sync::OnceLock::new();
    let content = noise(5, STEP);
    let site = Site {
        wrap: |body| {
            body.map_frame(|frame| {
                FILE.get().unwrap().set_len(300_000).unwrap();
                frame
            })
            .boxed()
        },
        ..Site::default()
    };
    let site = site.with("file", &content);
    FILE.set(Arc::clone(&site.files["/file"].0)).unwrap();
    let server = site.serve().await;
    let mut client = server.connect().await;
    client.send("GET /file HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let reply = client.rest().await;
    assert!(reply.len() < 300_000 + 1000, "{}", reply.len());
    let outcome = server.outcome().await.unwrap_err();
    assert!(
        outcome.contains("the file ends before byte 300000"),
        "{outcome}"
    );
}

#[tokio::test]
async fn a_range_beyond_the_file_fails_on_every_path() {
    let content = noise(6, 40_000);
    let file = file_of(&content);
    let body = Outlet::default().file(Arc::clone(&file), 0..40_001);
    let error = body.collect().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);

    let server = Site::default().with("file", &content).serve().await;
    let mut client = server.connect().await;
    client
        .send("GET /file HTTP/1.1\r\nhost: x\r\nrange: bytes=0-40000\r\n\r\n")
        .await;
    client.body().await.unwrap_err();
}
