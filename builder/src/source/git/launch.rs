//! Starting a command where it reaches one server and asks nothing odd of the kernel.
//!
//! What a thread gives up, all that it starts has given up too, and a thread can give up for itself alone. So each command is started by
//! a thread of its own, which ends: no program more, and nothing of ours to be found inside.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::LazyLock;

use crate::sandbox::{ThreadFilter, single};

/// What the commands are started under; the error is a sentence.
static FILTER: LazyLock<Result<ThreadFilter, String>> =
    LazyLock::new(|| ThreadFilter::with_mounts().map_err(|error| error.to_string()));

/// Which network a command is in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Network<'a> {
    /// The server's: where this process has no rights to make another.
    Servers,
    /// One of its own, in which these addresses are one server; none: nothing at all.
    Own(&'a [SocketAddr]),
}

/// What `spawn` gives, and where connections to the server come out that the command makes. The command has made none before this
/// returns that is not kept until somebody takes it.
pub(super) fn apart<T: Send>(
    network: Network<'_>,
    spawn: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<(T, Vec<TcpListener>)> {
    let filter = FILTER
        .as_ref()
        .map_err(|error| io::Error::other(error.as_str()))?;
    let start = move || {
        let listeners = match network {
            Network::Servers => Vec::new(),
            Network::Own(servers) => single::enter(servers)?,
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
