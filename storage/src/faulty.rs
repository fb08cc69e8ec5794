//! A store that fails when it is told to, for tests of what is above it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

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

/// A store whose `n`th call fails.
#[derive(Debug)]
pub struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    fault: Fault,
    /// 0: never.
    at: AtomicU64,
    calls: AtomicU64,
    failed: AtomicUsize,
    door: Arc<RwLock<()>>,
    at_door: Notify,
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
            door: Arc::default(),
            at_door: Notify::new(),
        }
    }

    /// Nothing is published until what this returns is dropped.
    pub async fn hold_publishing(&self) -> OwnedRwLockWriteGuard<()> {
        Arc::clone(&self.door).write_owned().await
    }

    /// Waits until somebody is about to publish.
    pub async fn until_publishing(&self) {
        self.at_door.notified().await;
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
        self.call(self.inner.get(key)).await
    }

    async fn put(&self, key: &Key, body: Bytes, durability: Durability) -> Result<(), StoreError> {
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

    async fn publish(&self, staged: &Key, to: &Key) -> Result<(), StoreError> {
        self.at_door.notify_one();
        let _open = self.door.read().await;
        self.call(self.inner.publish(staged, to)).await
    }

    async fn flush(&self) -> Result<(), StoreError> {
        self.call(self.inner.flush()).await
    }
}
