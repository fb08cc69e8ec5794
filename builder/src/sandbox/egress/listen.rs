//! Sockets of ours inside a run's network namespace.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::os::fd::AsFd as _;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::super::error::SandboxError;
use super::super::host::Privilege;
use super::super::namespaces::Namespaces;
use super::{DNS_PORT, TCP_PORT};

pub(super) struct Sockets {
    pub(super) tcp: tokio::net::TcpListener,
    pub(super) dns: tokio::net::UdpSocket,
}

/// Opens them: a thread enters the namespace, binds, and ends; a socket stays where it was made.
pub(super) async fn inside(
    namespaces: &Namespaces,
    privilege: Privilege,
) -> Result<Sockets, SandboxError> {
    if privilege == Privilege::User {
        // Entering takes rights in our own user namespace too, which only root has.
        return Err(SandboxError::Unsupported(
            "an ordinary user can only run processes without network access (egress none)"
                .to_owned(),
        ));
    }
    let path = format!("/proc/{}/ns/net", namespaces.pid());
    let namespace = File::open(&path).map_err(SandboxError::io(format!("open {path}")))?;
    let what = "listen in the sandbox's network";
    let bound = tokio::task::spawn_blocking(move || {
        // A thread of its own, which ends: one of a pool would stay in the namespace.
        let bind = move || {
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace.as_fd(), kind)?;
            // Where the rules turn to; an answer from any other address would not be taken for one.
            let on = |port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
            let tcp = TcpListener::bind(on(TCP_PORT))?;
            let dns = UdpSocket::bind(on(DNS_PORT))?;
            tcp.set_nonblocking(true)?;
            dns.set_nonblocking(true)?;
            Ok::<_, std::io::Error>((tcp, dns))
        };
        let thread = std::thread::Builder::new().name("sandbox-net".to_owned());
        let bound = thread.spawn(bind).map(std::thread::JoinHandle::join)?;
        bound.unwrap_or_else(|_| Err(std::io::Error::other("the thread ended")))
    });
    let bound = bound.await.map_err(SandboxError::io(what))?;
    let (tcp, dns) = bound.map_err(SandboxError::io(what))?;
    let tcp = tokio::net::TcpListener::from_std(tcp).map_err(SandboxError::io(what))?;
    let dns = tokio::net::UdpSocket::from_std(dns).map_err(SandboxError::io(what))?;
    Ok(Sockets { tcp, dns })
}
