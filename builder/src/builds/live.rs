//! What is in memory of runs that have not ended: how to stop them, and how far their logs are.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::log::Written;
use super::queue::RunId;

/// All runs that have not ended.
#[derive(Debug, Default)]
pub(super) struct Live(Mutex<HashMap<RunId, Arc<Open>>>);

/// A run that has not ended.
#[derive(Debug, Default)]
pub(super) struct Open {
    pub(super) stop: Stop,
    pub(super) written: watch::Sender<Written>,
}

impl Live {
    /// A run's, made if it is not there.
    pub(super) fn open(&self, id: &RunId) -> Arc<Open> {
        Arc::clone(self.map().entry(id.clone()).or_default())
    }

    pub(super) fn get(&self, id: &RunId) -> Option<Arc<Open>> {
        self.map().get(id).cloned()
    }

    /// Which there are.
    pub(super) fn ids(&self) -> Vec<RunId> {
        self.map().keys().cloned().collect()
    }

    /// The run has ended: who follows its log reads the rest.
    pub(super) fn end(&self, id: &RunId) {
        if let Some(open) = self.map().remove(id) {
            open.written.send_modify(|written| written.ended = true);
        }
    }

    /// Stops all that are at work; those that wait are not touched by it.
    pub(super) fn stop_all(&self, why: &Why) {
        for open in self.map().values() {
            open.stop.now(why.clone());
        }
    }

    fn map(&self) -> MutexGuard<'_, HashMap<RunId, Arc<Open>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a run at work is stopped.
#[derive(Debug, Default)]
pub(super) struct Stop {
    token: CancellationToken,
    why: OnceLock<Why>,
    server_ends: AtomicBool,
}

/// Why a run is stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Somebody wants it to end.
    Cancelled(String),
    /// It took too long.
    TimedOut,
    /// The server ends.
    ServerEnds,
}

impl Stop {
    /// Stops the run. The first reason counts.
    pub(super) fn now(&self, why: Why) {
        if why == Why::ServerEnds {
            self.server_ends.store(true, Ordering::SeqCst);
        }
        let _ = self.why.set(why);
        self.token.cancel();
    }

    pub(super) fn token(&self) -> &CancellationToken {
        &self.token
    }

    pub(super) fn why(&self) -> Option<&Why> {
        self.why.get()
    }

    /// Whether the server ends, also if the run was stopped for another reason before.
    pub(super) fn server_ends(&self) -> bool {
        self.server_ends.load(Ordering::SeqCst)
    }
}
