//! `slipway serve`: from configuration to open sockets, and back on SIGTERM.

mod accept;
mod connection;
mod exposed;
mod http2;
mod janitor;
mod listen;
mod sniff;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use registry::http::{Front, Sink};
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{self, Config};
use crate::wiring;

/// Serves until SIGTERM or SIGINT, then lets what is under way finish; a second signal cuts it off.
pub(crate) async fn run(config: Config, sink: Option<Sink>) -> anyhow::Result<()> {
    raise_file_limit();
    // Bound before storage is opened: a port that is taken is said before anything is touched, and
    // while a server starts again its clients wait in the kernel's queue instead of being refused.
    // Nothing is accepted until all is there.
    let listeners = listen::bind(&config)?;
    let tls = config.tls.as_ref().map(tls::Tls::load).transpose()?;
    let connections = TaskTracker::new();
    let stopping = CancellationToken::new();
    let wired = wiring::wire(&config, &connections, &stopping, sink).await?;
    let server = Arc::new(Server {
        front: wired.front,
        tls,
        limits: connection::Limits::new(&config),
        connections,
        stopping,
    });
    let background = TaskTracker::new();
    janitor::start(
        &background,
        &wired.registry,
        config.uploads.expire_after.get(),
        config.audit.kept(),
    );
    if let Some(tls) = &server.tls {
        tls::reload_on_change(&background, tls);
    }
    let pull_secrets = wired.pull_secrets.map(|pull_secrets| {
        let stopping = server.stopping.clone().cancelled_owned();
        tokio::spawn(pull_secrets.run(stopping))
    });
    let builder = wired.builder.map(|builder| {
        let stopping = server.stopping.clone();
        tokio::spawn(builder.run(stopping))
    });
    // Before anything is announced: whoever reads that may send a signal. Earlier ones end the
    // program at once, which nobody has asked anything yet.
    let mut signals = Signals::new()?;
    announce(&config, &listeners);

    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept::run(listener, Arc::clone(&server)));
    }
    tell_systemd(NotifyState::Ready);
    signals.next().await;
    tell_systemd(NotifyState::Stopping);
    tracing::info!("stopping: no new connections, requests under way may finish");
    accepting.shutdown().await;
    drain(&server, config.drain_timeout.get(), &mut signals).await;
    wired.recorder.close().await;
    if let Some(builder) = builder {
        // Its runs are killed, and wait again for the next start.
        builder.await.context("builds")?;
    }
    if let Some(pull_secrets) = pull_secrets {
        // It has known for as long as the connections have, and takes a moment at most.
        pull_secrets.await.context("pull secrets")?;
    }
    wired
        .registry
        .storage()
        .close()
        .await
        .context("closing storage")?;
    tracing::info!("stopped");
    Ok(())
}

/// Whether the certificates and the key can be used.
pub(crate) fn check_tls(files: &config::Tls) -> anyhow::Result<()> {
    tls::Tls::load(files).map(drop)
}

/// What every connection shares.
#[derive(Debug)]
struct Server {
    front: Arc<Front>,
    tls: Option<Arc<tls::Tls>>,
    limits: connection::Limits,
    connections: TaskTracker,
    /// No further requests on any connection.
    stopping: CancellationToken,
}

/// What asks the program to end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Waits for the connections to end, until patience ends or whoever asked asks again.
async fn drain(server: &Server, patience: Duration, signals: &mut Signals) {
    server.stopping.cancel();
    server.connections.close();
    let why = tokio::select! {
        () = server.connections.wait() => return,
        () = tokio::time::sleep(patience) => "the drain time-out has passed",
        () = signals.next() => "a second signal came",
    };
    let left = server.connections.len();
    tracing::warn!(left, "connections are cut off: {why}");
}

fn announce(config: &Config, listeners: &[tokio::net::TcpListener]) {
    let scheme = if config.tls.is_some() {
        "https"
    } else {
        "http"
    };
    for listener in listeners {
        if let Ok(address) = listener.local_addr() {
            tracing::info!("listening on {scheme}://{address}");
        }
    }
    exposed::warn(config);
    if config.auth.is_open() {
        tracing::warn!("no authentication is configured: whoever can connect may do everything");
    }
}

/// Tells whoever started this program as a service of `Type=notify` (`sd_notify(3)`); nothing where nobody wants to know.
fn tell_systemd(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!("NOTIFY_SOCKET: systemd cannot be told how this server stands: {error}");
    }
}

/// Every pull holds a socket and may hold a file, so the soft limit that shells set is too low.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}
