//! Clears away what nobody needs any more: upload sessions that their clients have forgotten, and old rows of the audit
//! record.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use registry::Registry;
use storage::audit::Retention;
use tokio_util::task::TaskTracker;

const EVERY: Duration = Duration::from_secs(600);

/// Starts the janitor. It ends with the runtime.
pub(super) fn start(
    tasks: &TaskTracker,
    registry: &Arc<Registry>,
    expire_after: Duration,
    audit: Retention,
) {
    let registry = Arc::clone(registry);
    tasks.spawn(async move {
        loop {
            expire_audit(&registry, audit).await;
            tokio::time::sleep(EVERY).await;
            purge_uploads(&registry, expire_after).await;
        }
    });
}

async fn purge_uploads(registry: &Registry, expire_after: Duration) {
    let Some(idle_since) = SystemTime::now().checked_sub(expire_after) else {
        return;
    };
    match registry.storage().uploads.purge(idle_since).await {
        Ok(0) => {}
        Ok(purged) => tracing::info!(purged, "forgotten uploads removed"),
        Err(error) => tracing::warn!(%error, "forgotten uploads stay for now"),
    }
}

async fn expire_audit(registry: &Registry, kept: Retention) {
    let audit = &registry.storage().audit;
    match audit.expire(kept, SystemTime::now()).await {
        Ok(0) => {}
        Ok(rows) => tracing::info!(rows, "old rows of the audit record removed"),
        Err(error) => tracing::warn!(%error, "old rows of the audit record stay for now"),
    }
}
