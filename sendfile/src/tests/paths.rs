//! Connections and files that take another path to the same bytes.

use std::fs::File;
use std::io::ErrorKind;
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::routing::get;
use axum::{Extension, Router};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rustix::fs::Advice;
use tokio::net::{TcpListener, TcpStream};

use super::harness::{Client, Flavour, Site, file_of, noise};
use crate::sys::{self, Cached};
use crate::window::{STEP, Window};
use crate::{Outlet, Wire};

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn http2_reads_the_file() {
    let content = noise(1, 2 * STEP + 3);
    let site = Site {
        flavour: Flavour::Auto,
        ..Site::default()
    };
    let server = site.with("file", &content).serve().await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    for _ in 0..3 {
        let request = Request::get("http://x/file").body(Empty::<Bytes>::new());
        let response = sender.send_request(request.unwrap()).await.unwrap();
        assert_eq!(response.version(), Version::HTTP_2);
        assert_eq!(
            response.headers()["content-length"],
            content.len().to_string()
        );
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(body == content);
    }
    assert_eq!(server.sendfile_bytes(), 0);
}

#[tokio::test]
async fn any_stream_reads_the_file() {
    let content = noise(2, 2 * STEP + 3);
    let site = Arc::new(Site::default().with("file", &content));
    let (near, far) = tokio::io::duplex(10_000);
    tokio::spawn(async move {
        let wire = Wire::over(far, PATIENCE);
        site.connection(wire, Outlet::default()).await
    });
    let mut client = Client::over(near);
    assert!(client.get("/file").await == content);
    assert_eq!(client.get("/text").await, b"a small body\n");
    let body = client.get_range("/file", STEP - 1, STEP + 70_000).await;
    assert!(body == content[STEP - 1..=STEP + 70_000]);
}

#[tokio::test]
async fn the_size_of_reads_is_configurable() {
    let content = noise(3, 100_000);
    let file = file_of(&content);
    for (asked, got) in [(1, 4096), (8192, 8192), (usize::MAX, 100_000)] {
        let mut body = Outlet::default()
            .file(Arc::clone(&file), 0..100_000)
            .read_size(asked);
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(first.len(), got);
        let rest = body.collect().await.unwrap().to_bytes();
        assert!([first, rest].concat() == content);
    }
}

#[tokio::test]
async fn axum_leaves_the_slices_alone() {
    let content = noise(4, 3 * STEP);
    let file = file_of(&content);
    let len = content.len() as u64;
    let app = Router::new().route(
        "/file",
        get(move |Extension(outlet): Extension<Outlet>| async move {
            axum::body::Body::new(outlet.file(file, 0..len))
        }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap());
    let (client, accepted) = tokio::join!(client, listener.accept());
    let (wire, outlet) = Wire::plain(accepted.unwrap().0, PATIENCE);
    let service = TowerToHyperService::new(app.layer(Extension(outlet.clone())));
    tokio::spawn(async move {
        auto::Builder::new(TokioExecutor::new())
            .serve_connection(wire, service)
            .await
            .unwrap();
    });
    let mut client = Client::over(client.unwrap());
    assert!(client.get("/file").await == content);
    client.send("HEAD /file HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(
        client
            .head()
            .await
            .unwrap()
            .contains(&format!("content-length: {len}"))
    );
    assert!(client.get("/file").await == content);
    assert_eq!(outlet.sendfile_bytes(), 2 * len);
}

/// A file that is not in the page cache is fetched by the blocking pool, then sent.
#[tokio::test]
async fn cold_files() {
    let content = noise(5, 3 * STEP + 100);
    let site = Site::default().with("file", &content);
    let file = Arc::clone(&site.files["/file"].0);
    let server = site.serve().await;
    let mut client = server.connect().await;
    let dropped = seen(|| {
        evict(&file, 0, content.len());
        sys::read_cached(&file, &mut [0], STEP as u64).unwrap() == Cached::Miss
    });
    assert!(
        dropped,
        "the file system of the target folder drops no pages or does not tell: build on a disk (ext4, xfs, btrfs)"
    );
    assert!(client.get("/file").await == content);
    assert_eq!(server.sendfile_bytes(), content.len() as u64);

    let piece = |from| Outlet::default().file(Arc::clone(&file), from..from + STEP as u64);
    let parted = seen(|| {
        file.read_exact_at(&mut vec![0; content.len()], 0).unwrap();
        let whole = piece(0).is_cached(STEP).unwrap();
        evict(&file, STEP, STEP);
        let rest = !piece(STEP as u64).is_cached(STEP).unwrap();
        whole && rest && piece(0).is_cached(STEP).unwrap()
    });
    assert!(parted, "half a file is not told from the other half");

    evict(&file, 0, content.len());
    let body = Outlet::default().file(file, 0..content.len() as u64);
    assert!(body.collect().await.unwrap().to_bytes() == content);
}

/// Whether the cache is once found so: the kernel reads ahead on its own account, and what was
/// dropped may be back by the time that it is looked for.
fn seen(look: impl Fn() -> bool) -> bool {
    (0..100).any(|_| look())
}

fn evict(file: &File, offset: usize, len: usize) {
    file.sync_all().unwrap();
    let len = NonZeroU64::new(len as u64);
    rustix::fs::fadvise(file, offset as u64, len, Advice::DontNeed).unwrap();
}

/// A file that can be read but not sent by `sendfile`: a process's command line.
#[tokio::test]
async fn files_without_sendfile_are_copied() {
    let argument = noise(6, 120_000)
        .iter()
        .map(|b| char::from(b'!' + b % 90))
        .collect::<String>();
    let mut child = Command::new("sh")
        .args(["-c", "read line", &argument])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let path = format!("/proc/{}/cmdline", child.id());
    let content = format!("sh\0-c\0read line\0{argument}\0").into_bytes();
    // The kernel shows it a moment after the program has started.
    while std::fs::read(&path).unwrap() != content {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let file = Arc::new(File::open(&path).unwrap());

    let (near, _far) = pair().await;
    let refused = sys::sendfile(&near, &file, 0, 100).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);

    let mut site = Site::default();
    let len = content.len() as u64;
    site.files.insert("/cmdline".into(), (file, len));
    let server = site.serve().await;
    let mut client = server.connect().await;
    assert!(client.get("/cmdline").await == content);
    assert_eq!(server.sendfile_bytes(), len);
    drop(child.stdin.take());
    child.wait().unwrap();
}

/// With every address leased, bodies read the file.
#[tokio::test]
async fn a_full_window_is_no_obstacle() {
    let window: &'static Window = super::harness::zeros();
    let leases: Vec<_> = std::iter::from_fn(|| window.lease()).collect();
    assert_eq!(window.leased(), leases.len());
    let content = noise(7, STEP + 50_000);
    let site = Site {
        window: Some(window),
        ..Site::default()
    };
    let server = site.with("file", &content).serve().await;
    let mut client = server.connect().await;
    assert!(client.get("/file").await == content);
    assert_eq!(server.sendfile_bytes(), 0);
    drop(leases);
    assert!(client.get("/file").await == content);
    assert_eq!(server.sendfile_bytes(), content.len() as u64);
    assert_eq!(window.leased(), 0);
}

pub(super) async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap());
    let (near, far) = tokio::join!(near, listener.accept());
    (near.unwrap(), far.unwrap().0)
}
