//! What a request needs to know of the connection that it came in on.

use std::net::SocketAddr;

use http::HeaderMap;
use http::header::HOST;
use sendfile::Outlet;

/// One accepted connection, made by the accept loop and shared by its requests.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The other end of the socket. Behind a proxy this is the proxy.
    pub peer: SocketAddr,
    /// The connection is under TLS.
    pub secure: bool,
    /// The way out for files: fast where the connection allows it.
    pub outlet: Outlet,
}

/// What RFC 9112 §3.2 asks of every request of HTTP/1.1. Of two hosts, a proxy may go by the one
/// and this server by the other.
pub(super) fn names_one_host(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    hosts.next().is_some() && hosts.next().is_none()
}
