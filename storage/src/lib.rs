//! Bytes and facts of a registry.
//!
//! - [`ObjectStore`]: bytes under [`Key`]s, in the layout of CNCF Distribution (`layout.rs`).
//! - [`Index`]: facts about them, in SQL. It can be lost: [`reindex`] makes it again.
//! - [`Blobs`], [`Uploads`], [`Catalog`]: what a registry does with both.
//! - [`Audit`]: who did it.
//!
//! Write order: blob bytes durable → one transaction (facts, and a journal row for every link
//! object that it makes stale) → links settled → reply. See `mirror.rs`.
//!
//! Absence is `None` or `false`, never an error; an outage is an error, never absence.

pub mod audit;
mod blobs;
mod catalog;
mod content;
mod detached;
mod error;
#[cfg(feature = "test-util")]
pub mod faulty;
mod fs;
pub mod fsck;
mod fuse;
mod hot;
pub mod index;
mod key;
pub mod layout;
mod memory;
mod mirror;
pub mod reindex;
pub mod stats;
mod store;
#[cfg(feature = "test-util")]
pub mod suite;
mod uploads;

pub use audit::Audit;
pub use blobs::Blobs;
pub use catalog::{Catalog, MoveTags, PutError, Sparse, StoredManifest, TagMoved};
pub use error::StorageError;
pub use fs::{FileLock, FsStore, make_durably};
pub use index::sqlite::SqliteIndex;
pub use index::{Index, Referrers, Unlink};
pub use key::{Key, Prefix};
pub use memory::MemoryStore;
pub use store::{
    AppendError, Appended, BodyError, ByteStream, ChunkRange, Content, Durability, Meta, Object,
    ObjectStore, Progress, StoreError,
};
pub use uploads::{UploadError, Uploads};

use std::sync::Arc;

use mirror::Mirror;

/// What bounds storage, and what it takes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Largest blob in bytes.
    pub max_blob_bytes: u64,
    /// Manifests kept in memory, in bytes.
    pub manifest_cache_bytes: u64,
    /// Images with missing blobs.
    pub sparse: Sparse,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_blob_bytes: 1 << 40,
            manifest_cache_bytes: 64 << 20,
            sparse: Sparse::Allowed,
        }
    }
}

/// A registry's content: one object store and one index, and what is done with them.
#[derive(Debug)]
pub struct Storage {
    /// Blobs of repositories.
    pub blobs: Blobs,
    /// Upload sessions.
    pub uploads: Uploads,
    /// Manifests, tags, referrers, lists.
    pub catalog: Catalog,
    /// Who did what.
    pub audit: Audit,
    store: Arc<dyn ObjectStore>,
    index: Arc<dyn Index>,
    mirror: Arc<Mirror>,
}

impl Storage {
    /// Opens the content for serving. A long journal is settled meanwhile: the index is the truth already.
    ///
    /// Fails when the index is new but the store holds repositories already: serving an empty
    /// index would hide them, and sweeping by it would delete them.
    pub async fn open(
        store: Arc<dyn ObjectStore>,
        index: Arc<dyn Index>,
        limits: Limits,
    ) -> Result<Self, OpenError> {
        let mirror = Arc::new(Mirror::new(Arc::clone(&store), Arc::clone(&index)));
        mirror::refuse_foreign(&store, Some(&index)).await?;
        mirror.begin().await?;
        mirror::keep_up(&mirror);
        let blobs = Blobs::new(&store, &index, &mirror);
        Ok(Self {
            uploads: Uploads::new(&store, &index, &blobs, limits.max_blob_bytes),
            catalog: Catalog::new(&store, &index, &mirror, &blobs, &limits),
            blobs,
            audit: Audit::of(&index),
            store,
            index,
            mirror,
        })
    }

    /// One bounded question to the index, for readiness.
    pub async fn ready(&self) -> Result<(), StorageError> {
        self.index.ping().await
    }

    /// No sync has failed since it was opened. After one, content is served and writes are refused
    /// until it is opened again.
    pub fn takes_writes(&self) -> bool {
        self.store.takes_writes() && self.index.takes_writes()
    }

    /// Syncs the links and empties the journal, but for what cannot be written now. Call once nothing is under way any
    /// more.
    pub async fn close(&self) -> Result<(), StorageError> {
        self.mirror.catch_up().await.map(drop)
    }

    /// The objects.
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// The facts.
    pub fn index(&self) -> &Arc<dyn Index> {
        &self.index
    }
}

/// Fails with [`OpenError::Unindexed`] where the index knows nothing of what the store holds; `None` is an index that has
/// no file yet. To ask before that file is made, and before an empty index is believed.
pub async fn check_indexed(
    store: &Arc<dyn ObjectStore>,
    index: Option<&Arc<dyn Index>>,
) -> Result<(), OpenError> {
    mirror::refuse_foreign(store, index).await
}

/// Why content is not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The index knows nothing of the repositories in the store.
    #[error(
        "the index is new, but the store holds repositories already: run `slipway storage reindex` first"
    )]
    Unindexed,
    /// Storage does not answer.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
