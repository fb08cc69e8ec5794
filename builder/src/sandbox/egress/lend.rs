//! How an ordinary user opens sockets in a run's network.
//!
//! Entering a namespace takes rights in one's own user namespace, which only root has; a process that enters the run's
//! user namespace first has them, but it must have one thread only. So a program is started for it, opens the sockets, and
//! hands them back over its standard input (`unix(7)`, `SCM_RIGHTS`).

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};

use super::super::error::SandboxError;
use super::super::host::Settings;
use super::super::namespaces::Namespaces;
use super::listen::bind;

const WHAT: &str = "listen in the sandbox's network";
const PATIENCE: Duration = Duration::from_secs(60);

/// What the command of [`Settings::lender`](super::super::Settings::lender) does: opens a run's sockets in the network namespace that it was
/// started in and hands them to its standard input.
pub fn lend_sockets() -> std::io::Result<()> {
    let (tcp, dns) = bind()?;
    let sockets = [tcp.as_fd(), dns.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&sockets));
    let word = [IoSlice::new(b"2")];
    rustix::net::sendmsg(std::io::stdin(), &word, &mut control, SendFlags::empty())?;
    Ok(())
}

/// Starts the lender inside and takes what it hands back.
pub(super) async fn borrow(
    namespaces: &Namespaces,
    settings: &Settings,
) -> Result<(TcpListener, UdpSocket), SandboxError> {
    let Some((program, arguments)) = settings.lender.split_first() else {
        return Err(SandboxError::Unsupported(
            "an ordinary user's runs connect to nothing here: no program was given that opens their sockets".to_owned(),
        ));
    };
    let (ours, theirs) = UnixStream::pair().map_err(SandboxError::io(WHAT))?;
    let mut command = namespaces.command(program);
    command.args(arguments).stdin(OwnedFd::from(theirs));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(SandboxError::io(WHAT))?;
    // It holds the other end: without it, ours has an end when the program ends.
    drop(command);
    let received = tokio::task::spawn_blocking(move || receive(&ours));
    let received = received.await.map_err(SandboxError::io(WHAT))?;
    let _ = child.wait().await;
    received.map_err(SandboxError::io(WHAT))
}

fn receive(from: &UnixStream) -> std::io::Result<(TcpListener, UdpSocket)> {
    from.set_read_timeout(Some(PATIENCE))?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut word = [0];
    let mut words = [IoSliceMut::new(&mut word)];
    rustix::net::recvmsg(from, &mut words, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut sockets = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(handed) = message {
            sockets.extend(handed);
        }
    }
    let mut sockets = sockets.into_iter();
    match (sockets.next(), sockets.next()) {
        (Some(tcp), Some(dns)) => Ok((tcp.into(), dns.into())),
        _ => Err(std::io::Error::other(
            "the program that opens sockets opened none",
        )),
    }
}
