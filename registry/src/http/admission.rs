//! Bounded concurrency by class, so that a flood of one kind of request does not starve another.
//! A request that would wait longer than [`PATIENCE`] is told to come back: 429 beats a queue
//! that grows until every client has timed out.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::Problem;

const PATIENCE: Duration = Duration::from_millis(100);
/// Seconds that a turned-away client is asked to wait.
const RETRY_AFTER: u64 = 1;

/// How many requests of a class may be under way at once.
#[derive(Debug, Clone, Copy)]
pub struct Admissions {
    /// Blobs being sent, counted until the last byte.
    pub blobs: usize,
    /// Uploads being received.
    pub uploads: usize,
    /// Manifests written, content deleted or looked up past the memory.
    pub manifests: usize,
    /// Lists.
    pub lists: usize,
    /// Requests outside `/v2` and `/auth`.
    pub others: usize,
}

impl Default for Admissions {
    fn default() -> Self {
        Self {
            blobs: 10_000,
            uploads: 1_000,
            manifests: 2_000,
            lists: 64,
            others: 256,
        }
    }
}

/// Bytes of bodies that are read whole (manifests, token forms) and may be in memory at once.
const BODIES: usize = 64 << 20;

/// The classes' turnstiles.
#[derive(Debug)]
pub(super) struct Admission {
    pub(super) bodies: Budget,
    pub(super) blobs: Turnstile,
    pub(super) uploads: Turnstile,
    pub(super) manifests: Turnstile,
    pub(super) lists: Turnstile,
    pub(super) others: Turnstile,
}

impl Admission {
    pub(super) fn new(limits: Admissions) -> Self {
        Self {
            bodies: Budget::new(BODIES),
            blobs: Turnstile::new(limits.blobs),
            uploads: Turnstile::new(limits.uploads),
            manifests: Turnstile::new(limits.manifests),
            lists: Turnstile::new(limits.lists),
            others: Turnstile::new(limits.others),
        }
    }
}

/// Lets a number of requests through at a time.
#[derive(Debug)]
pub(super) struct Turnstile(Arc<Semaphore>);

/// A request that is inside; dropping it lets the next one in.
#[derive(Debug)]
pub(super) struct Admitted {
    _place: OwnedSemaphorePermit,
}

impl Turnstile {
    fn new(places: usize) -> Self {
        Self(Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))))
    }

    pub(super) async fn admit(&self) -> Result<Admitted, Problem> {
        let waiting = Arc::clone(&self.0).acquire_owned();
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(Ok(place)) => Ok(Admitted { _place: place }),
            // The semaphore is never closed, so what is left is that no place came free.
            Ok(Err(_)) | Err(_) => Err(Problem::too_many(RETRY_AFTER)),
        }
    }
}

/// Bytes that requests may hold together.
#[derive(Debug)]
pub(super) struct Budget(Arc<Semaphore>);

/// What one request holds; dropping it gives it back.
#[derive(Debug, Default)]
pub(super) struct Share(Option<OwnedSemaphorePermit>);

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))))
    }

    /// Adds `bytes` to `share`. Nobody waits while holding some: that would be a deadlock of two.
    pub(super) fn grow(&self, share: &mut Share, bytes: usize) -> Result<(), Problem> {
        let more = u32::try_from(bytes)
            .ok()
            .and_then(|bytes| Arc::clone(&self.0).try_acquire_many_owned(bytes).ok())
            .ok_or_else(|| Problem::too_many(RETRY_AFTER))?;
        match &mut share.0 {
            Some(held) => held.merge(more),
            None => share.0 = Some(more),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Budget, Share, Turnstile};
    use http::StatusCode;

    #[test]
    fn a_spent_budget_answers_429_and_recovers() {
        let budget = Budget::new(10);
        let (mut one, mut other) = (Share::default(), Share::default());
        budget.grow(&mut one, 4).unwrap();
        budget.grow(&mut one, 4).unwrap();
        let refused = budget.grow(&mut other, 3).unwrap_err();
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        budget.grow(&mut other, 2).unwrap();
        drop(one);
        budget.grow(&mut other, 8).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_class_answers_429_and_recovers() {
        let turnstile = Turnstile::new(1);
        let inside = turnstile.admit().await.unwrap();
        let refused = turnstile.admit().await.unwrap_err();
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        drop(inside);
        turnstile.admit().await.unwrap();
    }
}
