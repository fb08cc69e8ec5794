//! What is wrong goes into the log, and not with every request.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often at most the same place complains.
const EVERY: Duration = Duration::from_secs(10);

/// Says when the next complaint may be made.
pub(crate) struct Complaints {
    begun: Instant,
    /// Milliseconds after `begun` from which on the next may be said.
    next: AtomicU64,
}

impl Complaints {
    pub(crate) fn new() -> Self {
        Self {
            begun: Instant::now(),
            next: AtomicU64::new(0),
        }
    }

    /// Whether to complain now: for one caller in so much time it is true.
    pub(crate) fn is_due(&self) -> bool {
        let milliseconds =
            |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let now = milliseconds(self.begun.elapsed());
        let next = self.next.load(Ordering::Relaxed);
        let then = now.saturating_add(milliseconds(EVERY));
        now >= next
            && self
                .next
                .compare_exchange(next, then, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}
