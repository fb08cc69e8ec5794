//! Settling and syncing while others are served.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::sleep;

use super::Mirror;

/// How long a settled link may stay unsynced. Until then the journal can write it again.
const FLUSH_EVERY: Duration = Duration::from_secs(5);
/// Flushes between two tries to write what could not be written, at most: a full disk is not soon empty.
const MOST_BETWEEN: u32 = 11;

/// Looks after the mirror from time to time, until it is dropped.
pub(crate) fn keep_up(mirror: &Arc<Mirror>) {
    let is_behind = mirror.is_behind();
    let mirror = Arc::downgrade(mirror);
    tokio::spawn(async move {
        if !is_behind {
            sleep(FLUSH_EVERY).await;
        }
        while look_after(&mirror).await.is_some() {}
    });
}

/// Settles what is left to settle and, while some of that cannot be written, waits longer and longer before it tries
/// again. `None`: the mirror is gone.
async fn look_after(mirror: &Weak<Mirror>) -> Option<()> {
    let mut between = 0;
    loop {
        let caught_up = mirror.upgrade()?.catch_up().await;
        if let Err(error) = &caught_up {
            tracing::warn!(%error, "links are not synced yet; the journal keeps them");
        }
        sleep(FLUSH_EVERY).await;
        if matches!(caught_up, Ok(true)) {
            return Some(());
        }
        between = (between * 2 + 1).min(MOST_BETWEEN);
        for _ in 0..between {
            if let Err(error) = mirror.upgrade()?.flush().await {
                tracing::warn!(%error, "links are not synced yet; the journal keeps them");
            }
            sleep(FLUSH_EVERY).await;
        }
    }
}
