//! What was asked for lately, kept in memory and never out of date.
//!
//! The danger is a reader that misses, reads the index, is overtaken by a writer, and then keeps
//! what it read. So a reader notes the generation of its key's shard before it reads, and keeps
//! what it found only if no writer has been there since. A writer commits first and then drops the
//! entry, raising the generation: it never puts its own value in, because two writers may come
//! here in another order than they committed. A reader that looks after the last of them reads
//! what the last commit left.

#[cfg(test)]
mod tests;

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// Keys that share a generation only cost each other a repeated read.
const SHARDS: usize = 64;
/// For the cache's own tables: what an entry weighs if nothing is known yet.
const EXPECTED_ITEMS: u64 = 10_000;

/// A bounded cache that is exact.
pub(crate) struct Hot<K, V> {
    cache: Cache<K, V, Weight<K, V>>,
    generations: [Mutex<u64>; SHARDS],
    hasher: RandomState,
}

/// The state of the cache when a reader began to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look(u64);

impl<K: Hash + Eq, V: Clone> Hot<K, V> {
    /// A cache that holds entries of `capacity` in total, weighed by `weight`.
    pub(crate) fn new(capacity: u64, weight: fn(&K, &V) -> u64) -> Self {
        let items = usize::try_from(capacity.min(EXPECTED_ITEMS)).unwrap_or(0);
        Self {
            cache: Cache::with_weighter(items, capacity, Weight(weight)),
            generations: std::array::from_fn(|_| Mutex::new(0)),
            hasher: RandomState::new(),
        }
    }

    /// The value, if it is kept.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.cache.get(key)
    }

    /// To be called before reading what will be kept.
    pub(crate) fn look(&self, key: &K) -> Look {
        Look(*self.generation(key))
    }

    /// Keeps what was read after `look`, unless a writer has been there since.
    pub(crate) fn keep(&self, look: Look, key: K, value: V) {
        let generation = self.generation(&key);
        if *generation == look.0 {
            self.cache.insert(key, value);
        }
    }

    /// To be called by a writer after its commit and before its reply.
    pub(crate) fn invalidate(&self, key: &K) {
        let mut generation = self.generation(key);
        *generation = generation.wrapping_add(1);
        self.cache.remove(key);
    }

    fn generation(&self, key: &K) -> MutexGuard<'_, u64> {
        // The remainder is below SHARDS, and a number that small fits.
        #[expect(clippy::cast_possible_truncation, reason = "below 64")]
        let shard = (self.hasher.hash_one(key) % SHARDS as u64) as usize;
        self.generations[shard]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V> std::fmt::Debug for Hot<K, V> {
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
