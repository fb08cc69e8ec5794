//! One load for all who miss the same at the same time: a thousand nodes that pull a new tag.
//!
//! Whoever joins is told what was read before it came. That is right only where nothing has changed between the
//! beginning of the load and the joining, so each load carries when it began, and who comes says whether that will do.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, WeakShared};

/// A load that several wait for. It goes on as long as any of them does.
type Load<T> = Shared<BoxFuture<'static, T>>;

/// Loads under way. `L` tells when one began.
pub(crate) struct Flights<K, L, T: Clone> {
    under_way: Arc<UnderWay<K, L, T>>,
    next: AtomicU64,
}

type UnderWay<K, L, T> = Mutex<HashMap<K, Flight<L, T>, RandomState>>;

struct Flight<L, T: Clone> {
    number: u64,
    began: L,
    load: WeakShared<BoxFuture<'static, T>>,
}

/// A load to wait for.
pub(crate) enum Boarded<L, T: Clone> {
    /// One's own.
    First(Load<T>),
    /// Somebody else's, and when it began.
    Joined(Load<T>, L),
}

impl<K, L, T> Flights<K, L, T>
where
    K: Hash + Eq + Clone + Send + 'static,
    L: Copy + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    pub(crate) fn new() -> Self {
        Self {
            under_way: Arc::default(),
            next: AtomicU64::new(0),
        }
    }

    /// The load of `key` that is under way, if when it began will do; otherwise `load`, which began at `now`, for others
    /// to join.
    pub(crate) fn board(
        &self,
        key: K,
        now: L,
        will_do: impl FnOnce(L) -> bool,
        load: impl Future<Output = T> + Send + 'static,
    ) -> Boarded<L, T> {
        let mut under_way = lock(&self.under_way);
        if let Some(flight) = under_way.get(&key)
            && will_do(flight.began)
            && let Some(load) = flight.load.upgrade()
        {
            return Boarded::Joined(load, flight.began);
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let landing = Landing {
            under_way: Arc::clone(&self.under_way),
            key: key.clone(),
            number,
        };
        let load = async move {
            let _landing = landing;
            load.await
        };
        let load = load.boxed().shared();
        if let Some(weak) = load.downgrade() {
            let flight = Flight {
                number,
                began: now,
                load: weak,
            };
            under_way.insert(key, flight);
        }
        Boarded::First(load)
    }
}

/// Takes a load off the list when it has ended, or when nobody waits for it any more.
struct Landing<K: Hash + Eq, L, T: Clone> {
    under_way: Arc<UnderWay<K, L, T>>,
    key: K,
    number: u64,
}

impl<K: Hash + Eq, L, T: Clone> Drop for Landing<K, L, T> {
    fn drop(&mut self) {
        let mut under_way = lock(&self.under_way);
        let is_this = |flight: &Flight<L, T>| flight.number == self.number;
        if under_way.get(&self.key).is_some_and(is_this) {
            under_way.remove(&self.key);
        }
    }
}

fn lock<K, L, T: Clone>(
    under_way: &UnderWay<K, L, T>,
) -> MutexGuard<'_, HashMap<K, Flight<L, T>, RandomState>> {
    under_way.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K, L, T: Clone> fmt::Debug for Flights<K, L, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").finish_non_exhaustive()
    }
}
