use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// A state that may last too long: since when it has, while it does.
#[derive(Debug, Default)]
pub(super) struct Spell {
    since: Mutex<Option<Instant>>,
}

impl Spell {
    pub(super) fn begin(&self) {
        *self.since() = Some(Instant::now());
    }

    pub(super) fn end(&self) {
        *self.since() = None;
    }

    /// Ends when the state has lasted for `patience` without a break.
    pub(super) async fn outlasts(&self, patience: Duration) {
        loop {
            // A spell that begins after this look cannot have lasted before the next one.
            let now = Instant::now();
            let until = self.since().unwrap_or(now) + patience;
            if until <= now {
                return;
            }
            sleep_until(until).await;
        }
    }

    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
