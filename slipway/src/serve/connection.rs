//! One connection from its first byte to its last.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request};
use hyper_util::rt::TokioTimer;
use registry::http::Connection;
use sendfile::Wire;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::sniff::{self, Protocol};
use super::{Server, http2};
use crate::config::Config;

/// More than any client sends: tokens are the longest header.
const MAX_HEADERS: usize = 100;
pub(super) const MAX_HEADER_BYTES: u32 = 64 << 10;
/// What hyper may hold of a reply that its client does not read, and of a request's header.
pub(super) const MAX_BUFFER: usize = 64 << 10;

/// Bytes that are read of a request that is not answered as one.
const MAX_UNREAD: u64 = 1 << 20;

/// What bounds a connection.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    /// Connections open at once, per listener.
    pub(super) connections: usize,
    handshake: Duration,
    pub(super) header: Duration,
    pub(super) send: Duration,
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

pub(super) type Error = Box<dyn std::error::Error + Send + Sync>;

/// Serves a connection until either side ends it.
pub(super) async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    server: &Server,
) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    let limits = &server.limits;
    if let Some(tls) = &server.tls {
        if timeout(limits.handshake, sniff::is_plain_http(&stream)).await?? {
            return Ok(timeout(limits.handshake, misdirected(stream)).await??);
        }
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

/// Tells a client of plain HTTP that this port speaks TLS.
async fn misdirected(mut stream: TcpStream) -> std::io::Result<()> {
    const ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
        content-type: text/plain; charset=utf-8\r\n\
        content-length: 36\r\n\
        connection: close\r\n\
        \r\n\
        this port speaks TLS: use https://\r\n";
    stream.write_all(ANSWER).await?;
    stream.shutdown().await?;
    // Closing with bytes unread would reset the connection, and the answer could be lost.
    tokio::io::copy(&mut stream.take(MAX_UNREAD), &mut tokio::io::sink()).await?;
    Ok(())
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
    match protocol {
        Protocol::Http1 => http1(io, &connection, server).await,
        Protocol::Http2 => http2::serve(io, connection, server).await,
    }
}

/// Serves HTTP/1; once the server stops, until the request under way is answered.
async fn http1<I>(io: I, connection: &Connection, server: &Server) -> Result<(), Error>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
{
    let service = service_fn(async |request: Request<Incoming>| {
        let tunnel = request.method() == Method::CONNECT;
        let mut response = server.front.respond(request, connection).await;
        if tunnel {
            // What follows may be meant for the tunnel that is refused (CVE-2026-71324).
            let headers = response.headers_mut();
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok::<_, Infallible>(response)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(server.limits.header)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_BUFFER)
        .writev(true)
        .serve_connection(io, service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = &mut connection => return Ok(ended?),
        () = server.stopping.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    Ok(connection.await?)
}
