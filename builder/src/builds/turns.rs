//! Turns: of those who want the same, one at a time.

use std::hash::{BuildHasher as _, Hash, RandomState};

use tokio::sync::{Mutex, MutexGuard};

const LOCKS: usize = 64;

/// A few locks for any number of things. Two things may have the same one, which costs them time and nothing else.
#[derive(Debug)]
pub(super) struct Turns {
    locks: [Mutex<()>; LOCKS],
    falls: RandomState,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            locks: std::array::from_fn(|_| Mutex::default()),
            falls: RandomState::new(),
        }
    }
}

impl Turns {
    /// Waits for a turn with `what`, which lasts as long as what it gives back.
    pub(super) async fn of(&self, what: impl Hash) -> MutexGuard<'_, ()> {
        #[expect(clippy::cast_possible_truncation, reason = "less than LOCKS")]
        let at = (self.falls.hash_one(what) % LOCKS as u64) as usize;
        self.locks[at].lock().await
    }
}
