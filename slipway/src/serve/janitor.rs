//! Clears away upload sessions that their clients have forgotten.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use registry::Registry;
use tokio_util::task::TaskTracker;

const EVERY: Duration = Duration::from_secs(600);

/// Starts the janitor. It ends with the runtime.
pub(super) fn start(tasks: &TaskTracker, registry: &Arc<Registry>, expire_after: Duration) {
    let registry = Arc::clone(registry);
    tasks.spawn(async move {
        loop {
            tokio::time::sleep(EVERY).await;
            let Some(idle_since) = SystemTime::now().checked_sub(expire_after) else {
                continue;
            };
            match registry.storage().uploads.purge(idle_since).await {
                Ok(0) => {}
                Ok(purged) => tracing::info!(purged, "forgotten uploads removed"),
                Err(error) => tracing::warn!(%error, "forgotten uploads stay for now"),
            }
        }
    });
}
