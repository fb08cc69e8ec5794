//! What a client that stalls in mid-reply costs, alone in its process so that it can be measured.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test")]

use std::convert::Infallible;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use hyper::Response;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use sendfile::{Outlet, Wire};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

const CLIENTS: u64 = 200;
const LIMIT_KIB: u64 = 100;
const FILE: u64 = 64 << 20;

#[tokio::test]
async fn a_stalled_client_costs_at_most_100_kib() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(FILE).unwrap();
    let file = Arc::new(file);
    let mut held = Vec::new();
    for by_sendfile in [true, false] {
        let before = anonymous_kib();
        let clients = stall(&file, by_sendfile).await;
        let each = anonymous_kib().saturating_sub(before) / CLIENTS;
        assert!(each <= LIMIT_KIB, "{each} KiB each, sendfile {by_sendfile}");
        println!("{each} KiB for each stalled client, sendfile {by_sendfile}");
        // What the next round allocates must not come from what this one gave back.
        held.push(clients);
    }
}

async fn stall(file: &Arc<File>, by_sendfile: bool) -> Vec<TcpStream> {
    // Small socket buffers, which the kernel pays for, fill quickly.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(64 * 1024).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(16).unwrap();
    let address = listener.local_addr().unwrap();
    let mut clients = Vec::new();
    let mut outlets = Vec::new();
    for _ in 0..CLIENTS {
        let client = TcpSocket::new_v4().unwrap();
        client.set_recv_buffer_size(64 * 1024).unwrap();
        let mut client = client.connect(address).await.unwrap();
        let (wire, outlet) = Wire::plain(
            listener.accept().await.unwrap().0,
            Duration::from_secs(3600),
        );
        outlets.push(outlet.clone());
        let file = Arc::clone(file);
        let service = service_fn(move |_| {
            let outlet = if by_sendfile {
                outlet.clone()
            } else {
                Outlet::default()
            };
            let response = Response::new(outlet.file(Arc::clone(&file), 0..FILE));
            async { Ok::<_, Infallible>(response) }
        });
        tokio::spawn(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .max_buf_size(64 * 1024)
                .serve_connection(wire, service),
        );
        let request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        client.write_all(request).await.unwrap();
        clients.push(client);
    }
    for client in &clients {
        client.readable().await.unwrap();
    }
    // Until each has begun and nothing moves any more.
    let sent = || -> Vec<u64> { outlets.iter().map(Outlet::sendfile_bytes).collect() };
    let is_still = async {
        let mut before = sent();
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let now = sent();
            if now == before && (!by_sendfile || !now.contains(&0)) {
                return;
            }
            before = now;
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(60), is_still).await;
    for outlet in &outlets {
        let sent = outlet.sendfile_bytes();
        assert_eq!(sent > 0, by_sendfile);
        assert!(sent < FILE);
    }
    clients
}

/// The process's anonymous memory (`RssAnon`, proc(5)).
fn anonymous_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("RssAnon"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
