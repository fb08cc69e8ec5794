//! A store that fails when it is told to, for tests of what is above it.

use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::{Notify, OwnedRwLockWriteGuard, RwLock};

use crate::{
    Appended, ByteStream, Durability, Key, Meta, Object, ObjectStore, Prefix, Progress, StoreError,
};

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is done.
    Before,
    /// It is done, and reported as failed: the answer got lost.
    After,
    /// Nothing is done, in this call and in all that come later: the disk is gone.
    FromHereOn,
}

/// Where calls wait while a test holds it shut.
#[derive(Debug, Default)]
pub struct Door {
    lock: Arc<RwLock<()>>,
    visits: AtomicUsize,
    visited: Notify,
}

impl Door {
    /// Shut until what this returns is dropped.
    pub async fn shut(&self) -> OwnedRwLockWriteGuard<()> {
        Arc::clone(&self.lock).write_owned().await
    }

    /// Waits until somebody has come to it.
    pub async fn visited(&self) {
        while self.visits() == 0 {
            self.visited.notified().await;
        }
    }

    /// How many calls have come to it.
    pub fn visits(&self) -> usize {
        self.visits.load(Ordering::SeqCst)
    }

    async fn pass(&self) {
        self.visits.fetch_add(1, Ordering::SeqCst);
        self.visited.notify_one();
        drop(self.lock.read().await);
    }
}

/// A store whose `n`th call fails, which can be full, and in which calls can be held up.
#[derive(Debug)]
pub struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    fault: Fault,
    /// 0: never.
    at: AtomicU64,
    calls: AtomicU64,
    failed: AtomicUsize,
    is_full: AtomicBool,
    publishing: Door,
    reading: Door,
    /// What is read through the door.
    slow: Mutex<Option<Key>>,
}

impl FaultyStore {
    /// A store that does what `inner` does until [`FaultyStore::fail_at`].
    pub fn new(inner: Arc<dyn ObjectStore>, fault: Fault) -> Self {
        Self {
            inner,
            fault,
            at: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            failed: AtomicUsize::new(0),
            is_full: AtomicBool::new(false),
            publishing: Door::default(),
            reading: Door::default(),
            slow: Mutex::default(),
        }
    }

    /// What is published goes through this door.
    pub fn publishing(&self) -> &Door {
        &self.publishing
    }

    /// What is read of [`Self::slow_down`]'s key goes through this door.
    pub fn reading(&self) -> &Door {
        &self.reading
    }

    /// Reading `key` takes as long as the test wants.
    pub fn slow_down(&self, key: Key) {
        *self.slow.lock().unwrap_or_else(PoisonError::into_inner) = Some(key);
    }

    fn is_slow(&self, key: &Key) -> bool {
        let slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        slow.as_ref() == Some(key)
    }

    /// Whether there is no room for a `put`.
    pub fn fill(&self, is_full: bool) {
        self.is_full.store(is_full, Ordering::SeqCst);
    }

    /// The `n`th call from now on fails; 0 for none.
    pub fn fail_at(&self, n: u64) {
        self.calls.store(0, Ordering::SeqCst);
        self.at.store(n, Ordering::SeqCst);
    }

    /// Calls that failed on purpose.
    pub fn failed(&self) -> usize {
        self.failed.load(Ordering::SeqCst)
    }

    /// Counts a call; says how it fails if it is to.
    fn next(&self) -> Option<Fault> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let at = self.at.load(Ordering::SeqCst);
        let is_hit = at > 0 && (call == at || self.fault == Fault::FromHereOn && call > at);
        if !is_hit {
            return None;
        }
        self.failed.fetch_add(1, Ordering::SeqCst);
        Some(self.fault)
    }

    async fn call<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        match self.next() {
            None => work.await,
            Some(Fault::After) => {
                work.await?;
                Err(fault())
            }
            Some(Fault::Before | Fault::FromHereOn) => Err(fault()),
        }
    }
}

fn fault() -> StoreError {
    StoreError::Unavailable("a fault, on purpose".into())
}

#[async_trait]
impl ObjectStore for FaultyStore {
    fn takes_writes(&self) -> bool {
        self.inner.takes_writes()
    }

    async fn head(&self, key: &Key) -> Result<Meta, StoreError> {
        self.call(self.inner.head(key)).await
    }

    async fn get(&self, key: &Key) -> Result<Object, StoreError> {
        let is_slow = self.is_slow(key);
        let read = self.call(self.inner.get(key)).await;
        if is_slow {
            self.reading.pass().await;
        }
        read
    }

    async fn put(&self, key: &Key, body: Bytes, durability: Durability) -> Result<(), StoreError> {
        if self.is_full.load(Ordering::SeqCst) {
            return Err(StoreError::Full);
        }
        self.call(self.inner.put(key, body, durability)).await
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        self.call(self.inner.delete(key)).await
    }

    fn list<'a>(
        &'a self,
        prefix: &Prefix,
        after: Option<&Key>,
    ) -> BoxStream<'a, Result<Meta, StoreError>> {
        match self.next() {
            None => self.inner.list(prefix, after),
            Some(Fault::After) => {
                let end = stream::iter([Err(fault())]);
                self.inner.list(prefix, after).take(1).chain(end).boxed()
            }
            Some(Fault::Before | Fault::FromHereOn) => async { Err(fault()) }.into_stream().boxed(),
        }
    }

    async fn folders(&self, prefix: &Prefix) -> Result<Vec<Prefix>, StoreError> {
        self.call(self.inner.folders(prefix)).await
    }

    async fn append(&self, staged: &Key, at: Progress, body: ByteStream) -> Appended {
        match self.next() {
            None => self.inner.append(staged, at, body).await,
            // The bytes are there, and do not count.
            Some(Fault::After) => {
                self.inner.append(staged, at.clone(), body).await;
                Appended {
                    progress: at,
                    failure: Some(fault().into()),
                }
            }
            Some(Fault::Before | Fault::FromHereOn) => Appended {
                progress: at,
                failure: Some(fault().into()),
            },
        }
    }

    async fn adopt(&self, file: &Arc<File>, staged: &Key) -> Result<bool, StoreError> {
        self.call(self.inner.adopt(file, staged)).await
    }

    async fn settle(&self, file: &Arc<File>) -> Result<(), StoreError> {
        self.call(self.inner.settle(file)).await
    }

    async fn publish(&self, staged: &Key, to: &Key) -> Result<(), StoreError> {
        self.publishing.pass().await;
        self.call(self.inner.publish(staged, to)).await
    }

    async fn flush(&self) -> Result<(), StoreError> {
        self.call(self.inner.flush()).await
    }
}
