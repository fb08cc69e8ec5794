//! HTTP/1.1 or HTTP/2 on a connection without TLS, told by its first bytes.

use std::time::Duration;

use tokio::net::TcpStream;

/// Waits between looks at a connection that has sent a start of the preface only.
const PAUSE: Duration = Duration::from_millis(5);

/// The protocols that are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// Looks at the first bytes without taking them. `None`: the client closed before it said
/// anything. `PRI` begins the preface of HTTP/2 (RFC 9113 §3.4) and is no method of HTTP/1.1.
pub(super) async fn protocol(stream: &TcpStream) -> std::io::Result<Option<Protocol>> {
    let mut start = [0; 3];
    loop {
        let seen = stream.peek(&mut start).await?;
        let start = &start[..seen];
        if start.is_empty() {
            return Ok(None);
        }
        if start == b"PRI" {
            return Ok(Some(Protocol::Http2));
        }
        if !b"PRI".starts_with(start) {
            return Ok(Some(Protocol::Http1));
        }
        tokio::time::sleep(PAUSE).await;
    }
}
