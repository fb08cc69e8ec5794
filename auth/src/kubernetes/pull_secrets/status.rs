//! What the metrics say.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Figures of the work, which go on being read while it is done.
#[derive(Debug, Default)]
pub struct Status {
    is_leading: AtomicBool,
    kept: AtomicU64,
    first_end: AtomicU64,
    renewals: AtomicU64,
    failures: AtomicU64,
}

impl Status {
    /// Whether this server does the work: one of them does.
    pub fn is_leading(&self) -> bool {
        self.is_leading.load(Ordering::Relaxed)
    }

    /// Secrets that hold a token.
    pub fn kept(&self) -> u64 {
        self.kept.load(Ordering::Relaxed)
    }

    /// When the first of all tokens ends, in seconds after 1970; 0 when there is none.
    pub fn first_end(&self) -> u64 {
        self.first_end.load(Ordering::Relaxed)
    }

    /// Tokens that were replaced because their end was near.
    pub fn renewals(&self) -> u64 {
        self.renewals.load(Ordering::Relaxed)
    }

    /// Steps that failed, and watches that broke.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    pub(super) fn lead(&self, leads: bool) {
        self.is_leading.store(leads, Ordering::Relaxed);
        if !leads {
            self.show(0, None);
        }
    }

    pub(super) fn show(&self, kept: usize, first_end: Option<u64>) {
        let kept = u64::try_from(kept).unwrap_or(u64::MAX);
        self.kept.store(kept, Ordering::Relaxed);
        self.first_end
            .store(first_end.unwrap_or_default(), Ordering::Relaxed);
    }

    pub(super) fn renewed(&self) {
        self.renewals.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }
}
