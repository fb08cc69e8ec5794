//! What a request needs to know of the connection that it came in on.

use std::net::SocketAddr;

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
