//! One connection from its first byte to its last.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use registry::http::Connection;
use sendfile::Wire;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Server;
use super::sniff::{self, Protocol};
use crate::config::Config;

/// More than any client sends: tokens are the longest header.
const MAX_HEADERS: usize = 100;
const MAX_HEADER_BYTES: u32 = 64 << 10;
/// What hyper may hold of a reply that its client does not read.
const MAX_BUFFER: usize = 64 << 10;
/// HTTP/2: what one stream and one connection may have under way. Uploads need large windows;
/// the connection's bounds what one client can make us hold.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
const MAX_STREAMS: u32 = 250;
/// Floods of resets (CVE-2023-44487, CVE-2025-8671) end the connection.
const MAX_PENDING_RESETS: usize = 20;
const MAX_LOCAL_RESETS: usize = 200;
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// What bounds a connection.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    /// Connections open at once, per listener.
    pub(super) connections: usize,
    handshake: Duration,
    header: Duration,
    send: Duration,
}

impl Limits {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            connections: config.limits.connections,
            handshake: config.limits.handshake_timeout.get(),
            header: config.limits.header_timeout.get(),
            send: config.limits.send_timeout.get(),
        }
    }
}

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Serves a connection until either side ends it.
pub(super) async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    server: &Server,
) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    let limits = &server.limits;
    if let Some(tls) = &server.tls {
        let stream = timeout(limits.handshake, tls.acceptor().accept(stream)).await??;
        let protocol = match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Protocol::Http2,
            _ => Protocol::Http1,
        };
        let connection = Connection {
            peer,
            secure: true,
            outlet: sendfile::Outlet::default(),
        };
        let wire = Wire::encrypted(stream, |stream| stream.get_ref().0, limits.send);
        return speak(protocol, wire, connection, server).await;
    }
    let Some(protocol) = timeout(limits.header, sniff::protocol(&stream)).await?? else {
        return Ok(());
    };
    let (wire, outlet) = Wire::plain(stream, limits.send);
    let connection = Connection {
        peer,
        secure: false,
        outlet,
    };
    speak(protocol, wire, connection, server).await
}

async fn speak<I>(
    protocol: Protocol,
    io: I,
    connection: Connection,
    server: &Server,
) -> Result<(), Error>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    // HTTP/2 answers each request in a task of its own, so a request holds what it uses.
    let front = Arc::clone(&server.front);
    let connection = Arc::new(connection);
    let asked = Arc::new(AtomicBool::new(false));
    let waiting = Arc::clone(&asked);
    let service = service_fn(move |request| {
        let (front, connection) = (Arc::clone(&front), Arc::clone(&connection));
        asked.store(true, Ordering::Relaxed);
        async move { Ok::<_, Infallible>(front.respond(request, &connection).await) }
    });
    match protocol {
        Protocol::Http1 => {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(server.limits.header)
                .max_headers(MAX_HEADERS)
                .max_buf_size(MAX_BUFFER)
                .writev(true)
                .serve_connection(io, service);
            finish(connection, server).await?;
        }
        Protocol::Http2 => {
            let connection = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .max_concurrent_streams(MAX_STREAMS)
                .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
                .max_local_error_reset_streams(MAX_LOCAL_RESETS)
                .max_header_list_size(MAX_HEADER_BYTES)
                .max_send_buf_size(MAX_BUFFER)
                .keep_alive_interval(KEEP_ALIVE)
                .keep_alive_timeout(KEEP_ALIVE)
                .serve_connection(io, service);
            tokio::select! {
                ended = finish(connection, server) => ended?,
                () = silence(server.limits.header, &waiting) => {}
            }
        }
    }
    Ok(())
}

/// Ends when nothing was asked for `patience`; never once something was. HTTP/2 knows no such
/// bound of its own: its pings begin after the preface, which may never come.
async fn silence(patience: Duration, asked: &AtomicBool) {
    tokio::time::sleep(patience).await;
    if asked.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

/// Drives the connection; once the server stops, until the requests under way are answered.
async fn finish<C>(connection: C, server: &Server) -> Result<(), C::Error>
where
    C: GracefulConnection,
{
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = &mut connection => return ended,
        () = server.stopping.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}
