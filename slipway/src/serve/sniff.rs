//! What a client speaks, told by its first bytes: HTTP/1.1 or HTTP/2 where there is no TLS, and plain
//! HTTP where there is.

use std::io;

use rustix::net::{RecvFlags, recv};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// How HTTP/2 begins (RFC 9113 §3.4): enough of its preface, since no method of HTTP/1.1 does.
const PREFACE: &[u8] = b"PRI";

/// The protocols that are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// Looks at the first bytes without taking them. `None`: the client closed before it said
/// anything.
pub(super) async fn protocol(stream: &TcpStream) -> io::Result<Option<Protocol>> {
    loop {
        let ready = stream.ready(Interest::READABLE).await?;
        // `WouldBlock` makes the next `ready` wait for more than what was seen. The stream's own
        // `peek` would show the same bytes again at once.
        match stream.try_io(Interest::READABLE, || look(stream)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if ready.is_read_closed() {
                    // Nothing will follow a start that is no request: HTTP/1.1 says so.
                    return Ok(Some(Protocol::Http1));
                }
            }
            seen => return seen,
        }
    }
}

/// Whether the client speaks plain HTTP to a port of TLS: both versions begin with a letter, and no
/// record of TLS does (RFC 8446 §5.1: the first byte of a handshake is 22).
pub(super) async fn is_plain_http(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    let seen = stream.peek(&mut first).await?;
    Ok(seen > 0 && first[0].is_ascii_alphabetic())
}

/// What the bytes say that are there; `WouldBlock` if they can still become either.
fn look(stream: &TcpStream) -> io::Result<Option<Protocol>> {
    let mut start = [0; PREFACE.len()];
    let (seen, _) = recv(stream, &mut start, RecvFlags::PEEK)?;
    match &start[..seen] {
        [] => Ok(None),
        PREFACE => Ok(Some(Protocol::Http2)),
        start if PREFACE.starts_with(start) => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(Some(Protocol::Http1)),
    }
}
