//! `slipway serve`: from configuration to open sockets, and back on SIGTERM.

mod accept;
mod connection;
mod http2;
mod janitor;
mod listen;
mod sniff;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use registry::http::{Front, Sink};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{self, Config};
use crate::wiring;

/// Serves until SIGTERM or SIGINT, then lets what is under way finish.
pub(crate) async fn run(config: Config, sink: Option<Sink>) -> anyhow::Result<()> {
    raise_file_limit();
    let listeners = listen::bind(&config)?;
    let tls = config.tls.as_ref().map(tls::Tls::load).transpose()?;
    let connections = TaskTracker::new();
    let wired = wiring::wire(&config, &connections, sink).await?;
    let server = Arc::new(Server {
        front: wired.front,
        tls,
        limits: connection::Limits::new(&config),
        connections,
        stopping: CancellationToken::new(),
    });
    let background = TaskTracker::new();
    janitor::start(
        &background,
        &wired.registry,
        config.uploads.expire_after.get(),
    );
    if let Some(tls) = &server.tls {
        tls::reload_on_change(&background, tls);
    }
    announce(&config, &listeners);

    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept::run(listener, Arc::clone(&server)));
    }
    wait_for_signal().await?;
    tracing::info!("stopping: no new connections, requests under way may finish");
    accepting.shutdown().await;
    drain(&server, config.drain_timeout.get()).await;
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

async fn wait_for_signal() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

async fn drain(server: &Server, patience: Duration) {
    server.stopping.cancel();
    server.connections.close();
    if tokio::time::timeout(patience, server.connections.wait())
        .await
        .is_err()
    {
        let left = server.connections.len();
        tracing::warn!(
            left,
            "connections are cut off: the drain time-out has passed"
        );
    }
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
    if config.auth.is_open() {
        tracing::warn!("no authentication is configured: whoever can connect may do everything");
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
