//! What was asked for lately, kept in memory and never out of date.
//!
//! The dangers, and what is done about each:
//!
//! - *A reader misses, reads the index, is overtaken by a writer, and keeps what it read.* So a reader notes the
//!   generation of its key's shard before it reads, and keeps what it found only if that is unchanged; a writer raises
//!   it when it begins and when it ends.
//! - *Two writers come here in another order than they committed.* So a writer never puts its value in; it only drops
//!   what is there, and the next reader reads what the last commit left.
//! - *One reader sees a commit, and a later one sees in memory what was before it.* So a writer drops what will change
//!   before it commits, and nothing is kept while it is at work on the shard: whoever asks meanwhile asks the index. To
//!   leave the old value there until the commit would not do: a reader that missed before the value was kept, and was
//!   slow, reads the index after the commit, and the next one would find the old value.

#[cfg(test)]
mod tests;

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use oci::{Digest, RepoName};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// Groups that share a shard only cost each other a repeated read.
const SHARDS: usize = 64;
/// For the cache's own tables: what an entry weighs if nothing is known yet.
const EXPECTED_ITEMS: u64 = 10_000;

/// A key that changes together with others: a writer announces the group, as it may not know all keys beforehand.
pub(crate) trait Grouped {
    /// What keys of one group have in common.
    type Group: Hash;

    /// This key's group.
    fn group(&self) -> &Self::Group;
}

impl<T> Grouped for (RepoName, T) {
    type Group = RepoName;

    fn group(&self) -> &RepoName {
        &self.0
    }
}

impl Grouped for Digest {
    type Group = Self;

    fn group(&self) -> &Self {
        self
    }
}

/// A bounded cache that is exact.
pub(crate) struct Hot<K: Grouped + Hash + Eq, V: Clone> {
    cache: Cache<K, V, Weight<K, V>>,
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Shard {
    generation: u64,
    writers: usize,
}

/// The state of the cache when a reader began to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look(u64);

/// A writer at work: made before its commit, dropped after it and before its reply.
#[must_use]
pub(crate) struct Change<'a, K: Grouped + Hash + Eq, V: Clone> {
    hot: &'a Hot<K, V>,
    shard: usize,
}

impl<K: Grouped + Hash + Eq, V: Clone> Hot<K, V> {
    /// A cache that holds entries of `capacity` in total, weighed by `weight`.
    pub(crate) fn new(capacity: u64, weight: fn(&K, &V) -> u64) -> Self {
        let items = usize::try_from(capacity.min(EXPECTED_ITEMS)).unwrap_or(0);
        Self {
            cache: Cache::with_weighter(items, capacity, Weight(weight)),
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
        }
    }

    /// The value, if it is kept.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.cache.get(key)
    }

    /// To be called before reading what will be kept.
    pub(crate) fn look(&self, key: &K) -> Look {
        self.look_at(key.group())
    }

    /// The same, for a key that only reading will tell.
    pub(crate) fn look_at(&self, group: &K::Group) -> Look {
        Look(self.lock(self.shard(group)).generation)
    }

    /// Keeps what was read after `look`, unless a writer has been there since or is there now.
    pub(crate) fn keep(&self, look: Look, key: K, value: V) {
        let shard = self.lock(self.shard(key.group()));
        if shard.writers == 0 && shard.generation == look.0 {
            self.cache.insert(key, value);
        }
    }

    /// Announces a change of some keys of a group.
    pub(crate) fn change(&self, group: &K::Group) -> Change<'_, K, V> {
        let number = self.shard(group);
        let mut shard = self.lock(number);
        shard.writers += 1;
        shard.generation = shard.generation.wrapping_add(1);
        Change {
            hot: self,
            shard: number,
        }
    }

    /// Drops a key that has changed already: where nobody may see the value before the commit.
    pub(crate) fn invalidate(&self, key: &K) {
        self.change(key.group()).of(key);
    }

    fn shard(&self, group: &K::Group) -> usize {
        // The remainder is below SHARDS, and a number that small fits.
        #[expect(clippy::cast_possible_truncation, reason = "below 64")]
        let shard = (self.hasher.hash_one(group) % SHARDS as u64) as usize;
        shard
    }

    fn lock(&self, shard: usize) -> MutexGuard<'_, Shard> {
        self.shards[shard]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Grouped + Hash + Eq, V: Clone> Change<'_, K, V> {
    /// Drops a key that will change; it stays away until this is dropped.
    pub(crate) fn of(&self, key: &K) {
        self.hot.cache.remove(key);
    }
}

impl<K: Grouped + Hash + Eq, V: Clone> Drop for Change<'_, K, V> {
    fn drop(&mut self) {
        let mut shard = self.hot.lock(self.shard);
        shard.writers -= 1;
        shard.generation = shard.generation.wrapping_add(1);
    }
}

impl<K: Grouped + Hash + Eq, V: Clone> std::fmt::Debug for Hot<K, V> {
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
