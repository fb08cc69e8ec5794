//! Starting a command in namespaces of its own, where it reaches one server and asks nothing odd of the kernel.
//!
//! What a thread gives up, all that it starts has given up too, and a thread can give up for itself alone. So each command is started by
//! a thread of its own, which ends: no program more, and nothing of ours to be found inside.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::LazyLock;

use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::thread::UnshareFlags;

use crate::sandbox::{ThreadFilter, single};

/// What the commands are started under; the error is a sentence.
static FILTER: LazyLock<Result<ThreadFilter, String>> =
    LazyLock::new(|| ThreadFilter::with_mounts().map_err(|error| error.to_string()));

/// Which namespaces a command is in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Namespaces<'a> {
    /// The server's: where this process has no rights to make others.
    Servers,
    /// Its own, of mounts, processes, and the network, in which these addresses are one server; none: nothing at all. What is started is
    /// the first process, and one alone is.
    Own(&'a [SocketAddr]),
}

/// What `spawn` gives, and the listeners at which the command's connections to the server arrive: those that it makes before somebody takes
/// them wait there.
pub(super) fn apart<T: Send>(
    namespaces: Namespaces<'_>,
    spawn: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<(T, Vec<TcpListener>)> {
    let filter = FILTER
        .as_ref()
        .map_err(|error| io::Error::other(error.as_str()))?;
    let start = move || {
        let listeners = match namespaces {
            Namespaces::Servers => Vec::new(),
            Namespaces::Own(servers) => {
                enter()?;
                single::listen(servers)?
            }
        };
        filter.apply()?;
        Ok((spawn()?, listeners))
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("git".to_owned());
        let started = thread.spawn_scoped(scope, start)?.join();
        started.unwrap_or_else(|_| Err(io::Error::other("the thread ended")))
    })
}

/// Takes the calling thread into namespaces of its own. What is mounted in there is not mounted outside.
fn enter() -> io::Result<()> {
    let own = UnshareFlags::NEWNS | UnshareFlags::NEWPID | UnshareFlags::NEWIPC;
    #[expect(
        deprecated,
        reason = "what is not safe is the flag for files, which is not among these"
    )]
    rustix::thread::unshare(own | UnshareFlags::NEWNET)?;
    let all = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    Ok(mount_change("/", all)?)
}
