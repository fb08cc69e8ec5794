//! The accept loop: never blocked by one connection, never spinning on an error.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::{Server, connection};

/// How long to wait after an error that will not pass at once, such as no file handles left.
const BACK_OFF: Duration = Duration::from_millis(50);

/// Accepts until aborted.
pub(super) async fn run(listener: TcpListener, server: Arc<Server>) {
    let places = Arc::new(Semaphore::new(server.limits.connections));
    loop {
        // Beyond the limit, connections wait in the kernel's queue.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let server = Arc::clone(&server);
                let connections = server.connections.clone();
                connections.spawn(async move {
                    if let Err(error) = connection::serve(stream, peer, &server).await {
                        tracing::debug!(%peer, error = %error, "connection ended");
                    }
                    drop(place);
                });
            }
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "accept failed");
                tokio::time::sleep(BACK_OFF).await;
            }
        }
    }
}

fn concerns_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}
