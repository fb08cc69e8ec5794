//! Answers that hold for a while, each asked for once however many want it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use quick_cache::sync::Cache;
use tokio::time::Instant;

use crate::Refusal;
use crate::keyed::Fingerprint;

#[cfg(test)]
mod tests;

/// Most answers remembered of each kind.
const REMEMBERED: usize = 16 * 1024;
/// The asking ended without an answer.
pub(crate) const BUSY: Refusal = Refusal::Unavailable {
    because: crate::Outage::Registry,
    retry_after: Duration::from_secs(2),
};

/// What was answered lately, and what is being asked. Keys are fingerprints of whole questions: no two questions have
/// one, and neither secrets nor long lists of groups are kept.
pub(crate) struct Answers<V> {
    known: Cache<Fingerprint, Known<V>>,
    /// Each with its number.
    flights: Mutex<HashMap<Fingerprint, (u64, Flight<V>)>>,
    /// How many departed.
    departed: AtomicU64,
    /// How often something was forgotten. Written and compared under the lock of `flights`.
    forgotten: AtomicU64,
}

#[derive(Clone)]
struct Known<V> {
    answer: V,
    until: Instant,
}

type Flight<V> = Shared<BoxFuture<'static, Result<V, Refusal>>>;

impl<V: Clone + Send + Sync + 'static> Answers<V> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            known: Cache::new(REMEMBERED),
            flights: Mutex::default(),
            departed: AtomicU64::new(0),
            forgotten: AtomicU64::new(0),
        })
    }

    /// What is known and still holds.
    pub(crate) fn known(&self, question: &Fingerprint) -> Option<V> {
        let known = self.known.get(question)?;
        (Instant::now() < known.until).then_some(known.answer)
    }

    /// The answer, from whoever is asking already, or by `ask`, which says how long it holds from now on. A refusal goes
    /// to all who waited for it and is forgotten. The asking goes on when whoever began it goes away.
    pub(crate) async fn get<F>(
        self: &Arc<Self>,
        question: Fingerprint,
        ask: impl FnOnce() -> F,
    ) -> Result<V, Refusal>
    where
        F: Future<Output = Result<(V, Duration), Refusal>> + Send + 'static,
    {
        if let Some(answer) = self.known(&question) {
            return Ok(answer);
        }
        let flight = {
            let mut flights = self.lock();
            if let Some((_, flight)) = flights.get(&question) {
                flight.clone()
            } else if let Some(answer) = self.known(&question) {
                // It has landed since. It was remembered before it ended.
                return Ok(answer);
            } else {
                let number = self.departed.fetch_add(1, Ordering::Relaxed);
                let flight = self.depart(question, number, ask());
                flights.insert(question, (number, flight.clone()));
                flight
            }
        };
        flight.await
    }

    /// Forgets what is known, and lets nothing be remembered that was asked for before now.
    pub(crate) fn forget(&self, question: &Fingerprint) {
        let mut flights = self.lock();
        self.forgotten.fetch_add(1, Ordering::Relaxed);
        flights.remove(question);
        self.known.remove(question);
    }

    fn depart<F>(self: &Arc<Self>, question: Fingerprint, number: u64, asking: F) -> Flight<V>
    where
        F: Future<Output = Result<(V, Duration), Refusal>> + Send + 'static,
    {
        let answers = Arc::clone(self);
        let asked = Instant::now();
        let forgotten = self.forgotten.load(Ordering::Relaxed);
        let landing = Landing {
            answers: Arc::clone(self),
            question,
            number,
        };
        let flight = tokio::spawn(async move {
            // Also when the asking panics: nobody must wait for it for ever.
            let _landing = landing;
            let (answer, lifetime) = asking.await?;
            let known = Known {
                answer: answer.clone(),
                until: asked + lifetime,
            };
            let _flights = answers.lock();
            if answers.forgotten.load(Ordering::Relaxed) == forgotten {
                answers.known.insert(question, known);
            }
            Ok(answer)
        });
        async move { flight.await.unwrap_or(Err(BUSY)) }
            .boxed()
            .shared()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Fingerprint, (u64, Flight<V>)>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a flight when it is dropped, and not the one that departed in its place after a
/// [`forget`](Answers::forget).
struct Landing<V: Clone + Send + Sync + 'static> {
    answers: Arc<Answers<V>>,
    question: Fingerprint,
    number: u64,
}

impl<V: Clone + Send + Sync + 'static> Drop for Landing<V> {
    fn drop(&mut self) {
        let mut flights = self.answers.lock();
        let current = flights.get(&self.question);
        if current.is_some_and(|(number, _)| *number == self.number) {
            flights.remove(&self.question);
        }
    }
}
