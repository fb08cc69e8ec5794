//! Objects in memory: for trying things out, and for tests. Nothing outlives the process.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};

use crate::{
    Appended, ByteStream, Content, Durability, Key, Meta, Object, ObjectStore, Prefix, Progress,
    StoreError,
};

/// Objects in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    contents: Mutex<Contents>,
}

#[derive(Debug, Default)]
struct Contents {
    objects: BTreeMap<Key, Stored>,
    staged: BTreeMap<Key, BytesMut>,
}

#[derive(Debug, Clone)]
struct Stored {
    bytes: Bytes,
    modified: SystemTime,
}

impl Stored {
    fn now(bytes: Bytes) -> Self {
        let modified = SystemTime::now();
        Self { bytes, modified }
    }

    fn meta(&self, key: &Key) -> Meta {
        Meta {
            key: key.clone(),
            size: self.bytes.len() as u64,
            modified: self.modified,
        }
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        // Every change below is one step, so a panic elsewhere leaves nothing half done.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contents {
    fn get(&self, key: &Key) -> Result<&Stored, StoreError> {
        self.objects
            .get(key)
            .ok_or_else(|| StoreError::NotFound(key.clone()))
    }
}

#[async_trait]
impl ObjectStore for MemoryStore {
    fn takes_writes(&self) -> bool {
        true
    }

    async fn head(&self, key: &Key) -> Result<Meta, StoreError> {
        let contents = self.lock();
        if let Some(staged) = contents.staged.get(key) {
            return Ok(meta_of_staged(key, staged));
        }
        contents.get(key).map(|stored| stored.meta(key))
    }

    async fn get(&self, key: &Key) -> Result<Object, StoreError> {
        let contents = self.lock();
        let bytes = match contents.staged.get(key) {
            Some(staged) => Bytes::copy_from_slice(staged),
            None => contents.get(key)?.bytes.clone(),
        };
        Ok(Object {
            size: bytes.len() as u64,
            content: Content::Bytes(bytes),
        })
    }

    async fn put(&self, key: &Key, body: Bytes, _: Durability) -> Result<(), StoreError> {
        self.lock().objects.insert(key.clone(), Stored::now(body));
        Ok(())
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        let mut contents = self.lock();
        contents.objects.remove(key);
        contents.staged.remove(key);
        Ok(())
    }

    fn list<'a>(
        &'a self,
        prefix: &Prefix,
        after: Option<&Key>,
    ) -> BoxStream<'a, Result<Meta, StoreError>> {
        let contents = self.lock();
        let staged = contents
            .staged
            .iter()
            .map(|(key, bytes)| meta_of_staged(key, bytes));
        let objects = contents
            .objects
            .iter()
            .map(|(key, stored)| stored.meta(key));
        let mut found: Vec<Meta> = objects
            .chain(staged)
            .filter(|meta| meta.key.as_str().starts_with(prefix.as_str()))
            .filter(|meta| after.is_none_or(|after| meta.key > *after))
            .collect();
        found.sort_by(|a, b| a.key.cmp(&b.key));
        stream::iter(found.into_iter().map(Ok)).boxed()
    }

    async fn folders(&self, prefix: &Prefix) -> Result<Vec<Prefix>, StoreError> {
        let contents = self.lock();
        let keys = contents.objects.keys().chain(contents.staged.keys());
        let folders: BTreeSet<&str> = keys
            .filter_map(|key| {
                let (_, below) = key.as_str().split_at_checked(prefix.as_str().len())?;
                let end = below.find('/')? + 1;
                let is_below = key.as_str().starts_with(prefix.as_str());
                is_below.then(|| &key.as_str()[..prefix.as_str().len() + end])
            })
            .collect();
        Ok(folders.into_iter().map(Prefix::new).collect())
    }

    async fn append(&self, staged: &Key, at: Progress, mut body: ByteStream) -> Appended {
        let mut progress = at;
        {
            let mut contents = self.lock();
            // An upload is held in memory, so its offset is inside what `usize` counts.
            let offset = usize::try_from(progress.offset).unwrap_or(usize::MAX);
            let bytes = contents.staged.entry(staged.clone()).or_default();
            if bytes.len() < offset {
                return Appended {
                    progress,
                    failure: Some(StoreError::NotFound(staged.clone()).into()),
                };
            }
            bytes.truncate(offset);
        }
        while let Some(frame) = body.next().await {
            let frame = match frame {
                Ok(frame) => frame,
                Err(error) => {
                    let failure = Some(error.into());
                    return Appended { progress, failure };
                }
            };
            let mut contents = self.lock();
            let Some(bytes) = contents.staged.get_mut(staged) else {
                let failure = Some(StoreError::NotFound(staged.clone()).into());
                return Appended { progress, failure };
            };
            bytes.extend_from_slice(&frame);
            progress.hashers.update(&frame);
            progress.offset += frame.len() as u64;
        }
        Appended {
            progress,
            failure: None,
        }
    }

    async fn adopt(&self, _: &Arc<File>, _: &Key) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn settle(&self, _: &Arc<File>) -> Result<(), StoreError> {
        Ok(())
    }

    async fn publish(&self, staged: &Key, to: &Key) -> Result<(), StoreError> {
        let mut contents = self.lock();
        let bytes = contents
            .staged
            .remove(staged)
            .ok_or_else(|| StoreError::NotFound(staged.clone()))?;
        contents
            .objects
            .insert(to.clone(), Stored::now(bytes.freeze()));
        Ok(())
    }

    async fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// What is staged is being written.
fn meta_of_staged(key: &Key, bytes: &[u8]) -> Meta {
    Meta {
        key: key.clone(),
        size: bytes.len() as u64,
        modified: SystemTime::now(),
    }
}
