//! What arrives is what the file holds, by `sendfile`.

use std::fmt::Write;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, AsyncReadExt};

use super::harness::{Flavour, Server, Site, content_length, noise};
use crate::FileBody;
use crate::window::STEP;

const SIZES: [usize; 9] = [
    0,
    1,
    16 * 1024,
    16 * 1024 + 1,
    STEP - 1,
    STEP,
    STEP + 1,
    2 * STEP,
    3 * STEP + 12_345,
];

#[tokio::test]
async fn whole_files() {
    for flavour in [Flavour::Http1, Flavour::Auto] {
        let mut site = Site {
            flavour,
            ..Site::default()
        };
        for size in SIZES {
            site = site.with(&size.to_string(), &noise(size as u64, size));
        }
        let server = site.serve().await;
        let mut client = server.connect().await;
        for size in SIZES {
            let body = client.get(&format!("/{size}")).await;
            assert!(body == noise(size as u64, size), "{size} bytes");
        }
        let large = SIZES
            .iter()
            .filter(|&&size| size > 16 * 1024)
            .sum::<usize>();
        assert_eq!(server.sendfile_bytes(), large as u64);
    }
}

#[tokio::test]
async fn ranges() {
    let content = noise(1, 3 * STEP);
    let last = content.len() - 1;
    let server = Site::default().with("file", &content).serve().await;
    let mut client = server.connect().await;
    for (from, to) in [
        (0, 0),
        (last, last),
        (0, last),
        (1, last - 1),
        (STEP - 1, STEP),
        (STEP / 2, STEP / 2 + 20_000),
        (STEP + 4097, last),
        (0, STEP),
    ] {
        let body = client.get_range("/file", from, to).await;
        assert!(body == content[from..=to], "{from}-{to}");
    }
    assert!(server.sendfile_bytes() > 0);
}

#[tokio::test]
async fn small_bodies_between_files_on_one_connection() {
    let (one, two) = (noise(1, 70_000), noise(2, STEP + 5));
    let server = Site::default()
        .with("one", &one)
        .with("two", &two)
        .serve()
        .await;
    let mut client = server.connect().await;
    for _ in 0..100 {
        assert!(client.get("/one").await == one);
        assert_eq!(client.get("/text").await, b"a small body\n");
        assert!(client.get("/two").await == two);
    }
    assert_eq!(
        server.sendfile_bytes(),
        100 * (one.len() + two.len()) as u64
    );
}

#[tokio::test]
async fn pipelined_requests() {
    let content = noise(3, 2 * STEP + 7);
    let server = Site::default().with("file", &content).serve().await;
    let mut client = server.connect().await;
    let mut requests = String::new();
    for i in 0..20 {
        write!(
            requests,
            "GET /file HTTP/1.1\r\nhost: x\r\nrange: bytes={i}-1500000\r\n\r\n"
        )
        .unwrap();
        requests += "GET /text HTTP/1.1\r\nhost: x\r\n\r\n";
    }
    client.send(&requests).await;
    for i in 0..20 {
        assert!(client.body().await.unwrap() == content[i..=1_500_000]);
        assert_eq!(client.body().await.unwrap(), b"a small body\n");
    }
}

#[tokio::test]
async fn head_sends_the_length_and_no_body() {
    let content = noise(4, 100_000);
    let server = Site::default().with("file", &content).serve().await;
    let mut client = server.connect().await;
    for _ in 0..3 {
        client.send("HEAD /file HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert_eq!(content_length(&client.head().await.unwrap()), 100_000);
        assert!(client.get("/file").await == content);
    }
}

#[tokio::test]
async fn http_1_0() {
    let content = noise(5, STEP + 100);
    let server = Site::default().with("file", &content).serve().await;
    let mut client = server.connect().await;
    client.send("GET /file HTTP/1.0\r\n\r\n").await;
    assert_eq!(content_length(&client.head().await.unwrap()), content.len());
    assert!(client.rest().await == content);
}

/// Nobody should hide the length from hyper, but if someone does, the framing stays right.
#[tokio::test]
async fn a_body_of_hidden_length() {
    let content = noise(6, STEP + 100);
    let site = Site {
        wrap: |body| HiddenLength(body).boxed(),
        ..Site::default()
    };
    let server = site.with("file", &content).serve().await;
    let mut client = server.connect().await;
    client.send("GET /file HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let head = client.head().await.unwrap();
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        client.stream.read_line(&mut line).await.unwrap();
        let len = usize::from_str_radix(line.trim(), 16).unwrap();
        let mut chunk = vec![0; len + 2];
        client.stream.read_exact(&mut chunk).await.unwrap();
        assert!(chunk.ends_with(b"\r\n"));
        body.extend_from_slice(&chunk[..len]);
        if len == 0 {
            break;
        }
    }
    assert!(body == content);
    assert_eq!(server.sendfile_bytes(), content.len() as u64);
}

struct HiddenLength(FileBody);

impl Body for HiddenLength {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn sixty_four_clients_on_different_files() {
    let mut site = Site {
        flavour: Flavour::Auto,
        ..Site::default()
    };
    let len_of = |i: u64| STEP + usize::try_from(i).unwrap() * 40_001;
    for i in 0..64 {
        site = site.with(&i.to_string(), &noise(i, len_of(i)));
    }
    let server = Arc::new(site.serve().await);
    let clients: Vec<_> = (0..64)
        .map(|i| {
            let server = Arc::clone(&server);
            tokio::spawn(async move {
                let expected = Sha256::digest(noise(i, len_of(i)));
                let mut client = server.connect().await;
                for _ in 0..4 {
                    let body = client.get(&format!("/{i}")).await;
                    assert_eq!(Sha256::digest(body), expected, "file {i}");
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    let bytes: usize = (0..64).map(|i| 4 * len_of(i)).sum();
    // What a client has already is counted a moment later.
    let counted = async {
        while server.sendfile_bytes() < bytes as u64 {
            tokio::task::yield_now().await;
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(60), counted).await;
    assert_eq!(server.sendfile_bytes(), bytes as u64);
}

#[test]
fn any_ranges_of_any_file() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let content = noise(9, 3 * STEP + 999);
    let size = content.len();
    let server: Server = runtime.block_on(Site::default().with("file", &content).serve());
    let ranges = prop::collection::vec((0..size, 0..size), 1..8);
    let config = Config {
        cases: 48,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&ranges, |ranges| {
            runtime.block_on(async {
                let mut client = server.connect().await;
                for (a, b) in ranges {
                    let (first, last) = (a.min(b), a.max(b));
                    let body = client.get_range("/file", first, last).await;
                    prop_assert!(body == content[first..=last], "{first}-{last}");
                }
                Ok(())
            })
        })
        .unwrap();
    assert!(server.sendfile_bytes() > 0);
}
