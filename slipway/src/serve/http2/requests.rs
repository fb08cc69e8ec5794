use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::spell::Spell;

/// The requests of one connection.
#[derive(Debug)]
pub(super) struct Requests {
    count: Mutex<Count>,
    idle: Spell,
}

#[derive(Debug, Default)]
struct Count {
    begun: bool,
    open: usize,
}

/// One request, from its header until its reply is handed over or given up.
#[derive(Debug)]
pub(super) struct UnderWay {
    requests: Arc<Requests>,
}

impl Requests {
    pub(super) fn new() -> Self {
        let idle = Spell::default();
        idle.begin();
        Self {
            count: Mutex::default(),
            idle,
        }
    }

    pub(super) fn begin(self: &Arc<Self>) -> UnderWay {
        let mut count = self.count();
        count.begun = true;
        count.open += 1;
        self.idle.end();
        drop(count);
        UnderWay {
            requests: Arc::clone(self),
        }
    }

    /// Whether anything was ever asked.
    pub(super) fn any_yet(&self) -> bool {
        self.count().begun
    }

    /// Ends when no request has been under way for `patience`.
    pub(super) async fn idle(&self, patience: Duration) {
        self.idle.outlasts(patience).await;
    }

    fn count(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut count = self.requests.count();
        count.open -= 1;
        if count.open == 0 {
            self.requests.idle.begin();
        }
    }
}
