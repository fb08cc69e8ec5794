//! What was asked for lately, kept in memory and never out of date.
//!
//! The dangers, and what is done about each:
//!
//! - *A reader misses, reads the index, is overtaken by a writer, and keeps what it read.* So a reader notes the time
//!   before it reads, and keeps what it found only if its key has not changed since; a writer notes the time when it begins
//!   and when it ends. Time is a count of such beginnings and ends, one for all keys: a reader may learn only by reading
//!   which key it will keep.
//! - *Two writers come here in another order than they committed.* So a writer never puts its value in; it only drops
//!   what is there, and the next reader reads what the last commit left.
//! - *One reader sees a commit, and a later one sees in memory what was before it.* So a writer drops what will change
//!   before it commits, and nothing is kept of that key while it is at work: whoever asks meanwhile asks the index. To
//!   leave the old value there until the commit would not do: a reader that missed before the value was kept, and was
//!   slow, reads the index after the commit, and the next one would find the old value.

mod flights;

#[cfg(test)]
mod tests;

pub(crate) use flights::{Boarded, Flights};

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// Keys that share a shard only cost each other a repeated read.
const SHARDS: usize = 1024;
/// For the cache's own tables: what an entry weighs if nothing is known yet.
const EXPECTED_ITEMS: u64 = 10_000;

/// A bounded cache that is exact.
pub(crate) struct Hot<K: Hash + Eq, V: Clone> {
    cache: Cache<K, V, Weight<K, V>>,
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    /// Beginnings and ends of changes so far.
    time: AtomicU64,
}

#[derive(Debug, Default)]
struct Shard {
    /// When a change last began or ended.
    changed: u64,
    writers: usize,
}

/// When a reader began to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look(u64);

/// A writer at work on a key: made before its commit, dropped after it and before its reply.
#[must_use]
pub(crate) struct Change<'a, K: Hash + Eq, V: Clone> {
    hot: &'a Hot<K, V>,
    shard: usize,
}

impl<K: Hash + Eq, V: Clone> Hot<K, V> {
    /// A cache that holds entries of `capacity` in total, weighed by `weight`.
    pub(crate) fn new(capacity: u64, weight: fn(&K, &V) -> u64) -> Self {
        let items = usize::try_from(capacity.min(EXPECTED_ITEMS)).unwrap_or(0);
        Self {
            cache: Cache::with_weighter(items, capacity, Weight(weight)),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            time: AtomicU64::new(0),
        }
    }

    /// The value, if it is kept.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.cache.get(key)
    }

    /// To be called before reading what will be kept.
    pub(crate) fn look(&self) -> Look {
        Look(self.time.load(Ordering::SeqCst))
    }

    /// Whether no writer has been at the key since `look`, or is there now: what was read since then is what a reader that
    /// begins now may be told.
    pub(crate) fn is_unchanged(&self, look: Look, key: &K) -> bool {
        self.lock(self.shard(key)).is_unchanged(look)
    }

    /// Keeps what was read after `look`, unless a writer has been there since or is there now.
    pub(crate) fn keep(&self, look: Look, key: K, value: V) {
        let shard = self.lock(self.shard(&key));
        if shard.is_unchanged(look) {
            self.cache.insert(key, value);
        }
    }

    /// Announces a change of a key, and drops its value, which stays away until the returned is dropped.
    pub(crate) fn change(&self, key: &K) -> Change<'_, K, V> {
        let number = self.shard(key);
        {
            let mut shard = self.lock(number);
            shard.writers += 1;
            shard.changed = self.tick();
        }
        self.cache.remove(key);
        Change {
            hot: self,
            shard: number,
        }
    }

    /// Drops a key that has changed already: where nobody may see the value before the commit.
    pub(crate) fn invalidate(&self, key: &K) {
        drop(self.change(key));
    }

    fn tick(&self) -> u64 {
        self.time.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn shard(&self, key: &K) -> usize {
        // The remainder is below SHARDS, and a number that small fits.
        #[expect(clippy::cast_possible_truncation, reason = "below 1024")]
        let shard = (self.hasher.hash_one(key) % SHARDS as u64) as usize;
        shard
    }

    fn lock(&self, shard: usize) -> MutexGuard<'_, Shard> {
        self.shards[shard]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn is_unchanged(&self, look: Look) -> bool {
        self.writers == 0 && self.changed <= look.0
    }
}

impl<K: Hash + Eq, V: Clone> Drop for Change<'_, K, V> {
    fn drop(&mut self) {
        let mut shard = self.hot.lock(self.shard);
        shard.writers -= 1;
        shard.changed = self.hot.tick();
    }
}

impl<K: Hash + Eq, V: Clone> std::fmt::Debug for Hot<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hot").finish_non_exhaustive()
    }
}

struct Weight<K, V>(fn(&K, &V) -> u64);

impl<K, V> Clone for Weight<K, V> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl<K, V> Weighter<K, V> for Weight<K, V> {
    fn weight(&self, key: &K, value: &V) -> u64 {
        (self.0)(key, value)
    }
}
