//! A network with one way out, for a program of the machine's that has to do with one server.
//!
//! Unlike that of a run it needs no rules and answers no questions of names: all addresses are its own, so that whatever the program
//! connects to is our port, or nothing; and from our port it goes to the server that was judged, wherever the program meant to go.

use std::io;
use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::relay;

#[cfg(test)]
mod tests;

/// Makes of the network of the calling thread, in which there is nothing yet, such a one, and listens there at the port of these addresses,
/// which all have the same; at none if there are none.
pub(crate) fn listen(servers: &[SocketAddr]) -> io::Result<Vec<TcpListener>> {
    let Some(port) = servers.first().map(SocketAddr::port) else {
        return Ok(Vec::new());
    };
    let interface = Interface::open()?;
    interface.up()?;
    interface.takes_all(AddressFamily::INET)?;
    let any = SocketAddr::from(([0, 0, 0, 0], port));
    let mut listeners = vec![bind(any)?];
    if servers.iter().any(SocketAddr::is_ipv6) {
        // Without IPv6 the program has only the others to go to, too.
        let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        let also = interface.takes_all(AddressFamily::INET6);
        listeners.extend(also.and_then(|()| bind(any)).ok());
    }
    Ok(listeners)
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(16)?;
    Ok(socket.into())
}

/// Carries connections to one server, until it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Single {
    tasks: JoinSet<()>,
    failures: Arc<Mutex<Failures>>,
}

/// Why connections do not come about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// This machine cannot take them from the program, which waits.
    Machine(String),
    /// The server could not be connected to. The program was told so by a reset alone.
    Server(String),
}

#[derive(Debug, Default)]
struct Failures {
    /// Until one is taken again.
    machine: Option<String>,
    server: Option<String>,
}

/// At once; git opens two at most.
const MAX_CONNECTIONS: usize = 16;

/// After a connection that could not be taken.
const PAUSE: Duration = Duration::from_millis(100);

impl Single {
    /// From what [`listen`] gave to the server, which has these addresses.
    pub(crate) fn open(listeners: Vec<TcpListener>, servers: &[SocketAddr]) -> io::Result<Self> {
        let mut single = Self::default();
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        for listener in listeners {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let (servers, failures) = (Arc::from(servers), Arc::clone(&single.failures));
            let places = Arc::clone(&places);
            single
                .tasks
                .spawn(carry_all(listener, servers, places, failures));
        }
        Ok(single)
    }

    /// Why connections do not come about, if that is so.
    pub(crate) fn failure(&self) -> Option<Failure> {
        let Failures { machine, server } = &*known(&self.failures);
        let machine = machine.clone().map(Failure::Machine);
        machine.or_else(|| server.clone().map(Failure::Server))
    }
}

async fn carry_all(
    listener: tokio::net::TcpListener,
    servers: Arc<[SocketAddr]>,
    places: Arc<Semaphore>,
    failures: Arc<Mutex<Failures>>,
) {
    let mut tasks = JoinSet::new();
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        while tasks.try_join_next().is_some() {}
        let inside = match listener.accept().await {
            Ok((inside, _)) => {
                known(&failures).machine = None;
                inside
            }
            Err(error) => {
                known(&failures).machine = Some(error.to_string());
                // Out of descriptors, most likely: those of others come back. Who connects waits.
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let (servers, failures) = (Arc::clone(&servers), Arc::clone(&failures));
        tasks.spawn(async move {
            let outside = relay::first_of(&servers).await;
            let outside =
                outside.map_err(|error| known(&failures).server = Some(error.to_string()));
            relay::join(inside, outside.ok()).await;
            drop(place);
        });
    }
}

fn known(failures: &Mutex<Failures>) -> MutexGuard<'_, Failures> {
    failures.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The loopback interface of the calling thread's network (`rtnetlink(7)`).
struct Interface(rustix::fd::OwnedFd);

const RTM_NEWLINK: u16 = 16;
const RTM_NEWROUTE: u16 = 24;
/// `NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE`.
const REQUEST: u16 = 0x1 | 0x4 | 0x400;
const HEADER: u32 = 16;
const LOOPBACK: u32 = 1;
const IFF_UP: u32 = 1;
const RT_TABLE_LOCAL: u8 = 255;
const RTPROT_BOOT: u8 = 3;
const RT_SCOPE_HOST: u8 = 254;
const RTN_LOCAL: u8 = 2;
const RTA_OIF: u16 = 4;

impl Interface {
    fn open() -> io::Result<Self> {
        // Without a protocol it is that of routes, number 0. No program that another thread starts meanwhile has it.
        let flags = SocketFlags::CLOEXEC;
        let socket =
            rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        Ok(Self(socket))
    }

    fn up(&self) -> io::Result<()> {
        let mut link = vec![0; 4];
        for number in [LOOPBACK, IFF_UP, IFF_UP] {
            link.extend(number.to_ne_bytes());
        }
        self.ask(RTM_NEWLINK, &link)
    }

    /// Makes all addresses its own.
    fn takes_all(&self, family: AddressFamily) -> io::Result<()> {
        let family = u8::try_from(family.as_raw()).map_err(io::Error::other)?;
        let of_all = [family, 0, 0, 0];
        let mut route = of_all.to_vec();
        route.extend([RT_TABLE_LOCAL, RTPROT_BOOT, RT_SCOPE_HOST, RTN_LOCAL]);
        route.extend(0_u32.to_ne_bytes());
        route.extend(8_u16.to_ne_bytes());
        route.extend(RTA_OIF.to_ne_bytes());
        route.extend(LOOPBACK.to_ne_bytes());
        self.ask(RTM_NEWROUTE, &route)
    }

    fn ask(&self, kind: u16, body: &[u8]) -> io::Result<()> {
        let length = HEADER + u32::try_from(body.len()).map_err(io::Error::other)?;
        let mut message = length.to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.extend(REQUEST.to_ne_bytes());
        message.extend([0; 8]);
        message.extend(body);
        let kernel = SocketAddrNetlink::new(0, 0);
        rustix::net::sendto(&self.0, &message, SendFlags::empty(), &kernel)?;
        let mut answer = [0; 1024];
        let (length, _) = rustix::net::recv(&self.0, &mut answer, RecvFlags::empty())?;
        // After the header of `NLMSG_ERROR` its number, 0 or below.
        let number = answer[..length].get(16..20).and_then(<[u8]>::first_chunk);
        match number.map(|number| i32::from_ne_bytes(*number)) {
            Some(0) => Ok(()),
            Some(number) => Err(io::Error::from_raw_os_error(-number)),
            None => Err(io::Error::other("the kernel's answer is cut")),
        }
    }
}
