//! Sockets of ours inside a run's network namespace.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::os::fd::AsFd as _;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::super::error::SandboxError;
use super::super::namespaces::Namespaces;
use super::{DNS_PORT, TCP_PORT};

const WHAT: &str = "listen in the sandbox's network";

pub(super) struct Sockets {
    pub(super) tcp: tokio::net::TcpListener,
    pub(super) dns: tokio::net::UdpSocket,
}

/// Opens them.
pub(super) async fn inside(namespaces: &Namespaces) -> Result<Sockets, SandboxError> {
    let (tcp, dns) = enter(namespaces).await?;
    let tcp = tokio::net::TcpListener::from_std(tcp).map_err(SandboxError::io(WHAT))?;
    let dns = tokio::net::UdpSocket::from_std(dns).map_err(SandboxError::io(WHAT))?;
    Ok(Sockets { tcp, dns })
}

/// A thread enters the namespace, binds, and ends; a socket stays where it was made.
async fn enter(namespaces: &Namespaces) -> Result<(TcpListener, UdpSocket), SandboxError> {
    let path = format!("/proc/{}/ns/net", namespaces.pid());
    let namespace = File::open(&path).map_err(SandboxError::io(format!("open {path}")))?;
    let bound = tokio::task::spawn_blocking(move || {
        // A thread of its own, which ends: one of a pool would stay in the namespace.
        let thread = std::thread::Builder::new().name("sandbox-net".to_owned());
        let entered = thread.spawn(move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            bind()
        });
        let ended = entered.map(std::thread::JoinHandle::join)?;
        ended.unwrap_or_else(|_| Err(std::io::Error::other("the thread ended")))
    });
    let bound = bound.await.map_err(SandboxError::io(WHAT))?;
    bound.map_err(SandboxError::io(WHAT))
}

/// Binds where the rules turn to; an answer from any other address would not be taken for one.
fn bind() -> std::io::Result<(TcpListener, UdpSocket)> {
    let on = |port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    let tcp = TcpListener::bind(on(TCP_PORT))?;
    let dns = UdpSocket::bind(on(DNS_PORT))?;
    tcp.set_nonblocking(true)?;
    dns.set_nonblocking(true)?;
    Ok((tcp, dns))
}
