//! So many at once from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::Refusal;
use crate::throttle::network;

#[cfg(test)]
mod tests;

/// Whose turn it is at once, of one address.
const AT_ONCE: usize = 4;
/// Who waits for theirs: a node that starts all its pods has a token for each.
const WAITING: usize = 124;

/// Lets the clients of one address in a few at a time, so that none takes up what all share. It does not count failures:
/// behind one address may be a node with all its pods, and what is too long to be guessed needs no counting.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    lines: Mutex<HashMap<Vec<u8>, Arc<Semaphore>>>,
}

/// A place in the line of an address.
#[derive(Debug)]
pub(crate) struct InLine {
    turns: Arc<Turns>,
    network: Vec<u8>,
    line: Arc<Semaphore>,
}

impl Turns {
    /// Gets in line, unless that is too long.
    pub(crate) fn enter(self: &Arc<Self>, from: Option<IpAddr>) -> Result<InLine, Refusal> {
        let network = network(from);
        let mut lines = self.lock();
        let line = lines
            .entry(network.clone())
            .or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE)));
        // One more than are in line: ours.
        if Arc::strong_count(line) > AT_ONCE + WAITING {
            return Err(Refusal::Throttled {
                retry_after: Duration::from_secs(1),
            });
        }
        Ok(InLine {
            turns: Arc::clone(self),
            network,
            line: Arc::clone(line),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Arc<Semaphore>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InLine {
    /// Waits for the turn, which lasts as long as the permit. `None` never comes: no line is closed.
    pub(crate) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.line.acquire().await.ok()
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        let mut lines = self.turns.lock();
        // Counted under the lock: the map's and this one.
        if Arc::strong_count(&self.line) <= 2 {
            lines.remove(&self.network);
        }
    }
}
