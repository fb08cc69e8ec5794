//! The window's own bytes never leave.

use std::future::poll_fn;
use std::io::IoSlice;
use std::os::unix::process::ExitStatusExt;
use std::pin::Pin;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::rt::Write;
use tokio::io::AsyncReadExt;

use super::harness::{Flavour, Site, file_of, noise, zeros};
use super::paths::pair;
use crate::lane::Lane;
use crate::window::{Access, Window};
use crate::{FileBody, Wire};

const PATIENCE: Duration = Duration::from_secs(60);

/// Sends one request to a site that copies its bodies; returns all that came back.
async fn reply_of(site: Site) -> (Vec<u8>, String) {
    let site = Site {
        window: Some(zeros()),
        ..site
    };
    let server = site.with("file", &noise(1, 300_000)).serve().await;
    let mut client = server.connect().await;
    client.send("GET /file HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let reply = client.rest().await;
    (reply, server.outcome().await.unwrap_err())
}

#[tokio::test]
async fn flattened_writes_send_nothing() {
    for flavour in [Flavour::Flatten, Flavour::PipelineFlush] {
        let (reply, outcome) = reply_of(Site {
            flavour,
            ..Site::default()
        })
        .await;
        assert!(reply.is_empty(), "{} bytes", reply.len());
        assert!(outcome.contains("dropped before all of it"), "{outcome}");
    }
}

#[tokio::test]
async fn a_copy_made_by_a_layer_is_not_sent() {
    fn copying(body: FileBody) -> super::harness::AnyBody {
        body.map_frame(|frame| frame.map_data(|data| Bytes::copy_from_slice(&data)))
            .boxed()
    }
    let (reply, outcome) = reply_of(Site {
        wrap: copying,
        ..Site::default()
    })
    .await;
    assert!(reply.is_empty(), "{} bytes", reply.len());
    assert!(outcome.contains("dropped before all of it"), "{outcome}");
}

async fn write<S>(wire: &mut Wire<S>, bytes: &[u8]) -> std::io::Result<usize>
where
    Wire<S>: Write + Unpin,
{
    poll_fn(|cx| Pin::new(&mut *wire).poll_write_vectored(cx, &[IoSlice::new(bytes)])).await
}

#[tokio::test]
async fn a_range_leaves_only_by_its_own_connection_and_in_order() {
    let window = Window::shared().unwrap();
    let content = noise(2, 50_000);
    let file = file_of(&content);
    let lane = || {
        let lane = Arc::new(Lane::new(window));
        lane.decide(true);
        lane
    };

    let own = lane();
    let bytes = own.announce(&file, 0, 50_000).unwrap();
    let other = lane();
    other.claim(&bytes).unwrap_err();
    assert!(other.is_broken());

    let claim = own.claim(&bytes).unwrap();
    assert_eq!((claim.offset, claim.len), (0, 50_000));
    own.record(&bytes, 20_000);
    let claim = own.claim(&bytes[20_000..]).unwrap();
    assert_eq!((claim.offset, claim.len), (20_000, 30_000));
    own.claim(&bytes).unwrap_err();
    assert!(own.is_broken());
    assert!(own.announce(&file, 0, 1).is_none());

    let own = lane();
    let bytes = own.announce(&file, 0, 50_000).unwrap();
    let clone = bytes.slice(40_000..);
    own.record(&bytes, 50_000);
    drop((bytes, clone));
    assert!(!own.is_broken(), "sent whole");
    drop(own.announce(&file, 0, 50_000));
    assert!(own.is_broken(), "dropped unsent");

    let own = lane();
    let bytes = own.announce(&file, 0, 50_000).unwrap();
    let (near, mut far) = pair().await;
    write(&mut Wire::over(near, PATIENCE), &bytes)
        .await
        .unwrap_err();
    assert_eq!(far.read(&mut [0; 10]).await.unwrap_or(0), 0);
}

#[test]
fn nothing_is_announced_before_the_protocol_is_known_or_after_the_wire_is_gone() {
    let lane = Arc::new(Lane::new(Window::shared().unwrap()));
    let file = file_of(b"content");
    assert!(lane.announce(&file, 0, 7).is_none());
    lane.decide(false);
    assert!(lane.announce(&file, 0, 7).is_none());
    lane.decide(true);
    assert!(lane.announce(&file, 0, 7).is_some());
    lane.sever();
    assert!(lane.announce(&file, 0, 7).is_none());
}

/// A log line must not read the window.
#[tokio::test]
async fn debug_output_does_not_show_the_window() {
    let (near, _far) = pair().await;
    let (wire, outlet) = Wire::plain(near, PATIENCE);
    let body = outlet.file(file_of(&noise(3, 20_000)), 0..20_000);
    assert!(format!("{wire:?} {outlet:?} {body:?}").len() < 5_000);
}

/// The preface may arrive in any pieces.
#[tokio::test]
async fn http2_is_told_from_http1() {
    for (reads, http1) in [
        (vec!["GET / HTTP/1.1"], true),
        (vec!["P", "UT"], true),
        (vec!["PR", "OPFIND /"], true),
        (vec!["PRI * HTTP/2.0\r\n"], false),
        (vec!["P", "R", "I", " "], false),
    ] {
        let (near, far) = pair().await;
        let (mut wire, _) = Wire::plain(near, PATIENCE);
        let lane = wire.lane().unwrap();
        for read in &reads {
            assert!(!lane.is_open());
            far.try_write(read.as_bytes()).unwrap();
            let mut space = [0; 32];
            let mut buffer = hyper::rt::ReadBuf::new(&mut space);
            poll_fn(|cx| hyper::rt::Read::poll_read(Pin::new(&mut wire), cx, buffer.unfilled()))
                .await
                .unwrap();
            assert_eq!(buffer.filled(), read.as_bytes());
        }
        assert_eq!(lane.is_open(), http1, "{reads:?}");
    }
}

const CHILD: &str = "SENDFILE_TEST_READS_THE_WINDOW";

/// Runs itself once more, to die there.
#[test]
fn reading_a_window_without_access_is_fatal() {
    const SIGSEGV: i32 = 11;
    if std::env::var_os(CHILD).is_some() {
        let window: &'static Window = Box::leak(Box::new(Window::reserve(Access::Fault).unwrap()));
        let lease = window.lease().unwrap();
        panic!(
            "read {:?}",
            Bytes::copy_from_slice(&lease.addresses()[..10])
        );
    }
    let name = "tests::guard::reading_a_window_without_access_is_fatal";
    let status = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap()
        .status;
    assert_eq!(status.signal(), Some(SIGSEGV), "{status}");
}
