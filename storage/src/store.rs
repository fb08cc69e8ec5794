//! The seam to bytes: what an object store can do.

use std::fmt;
use std::fs::File;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use oci::Hashers;

use crate::error::Source;
use crate::{Key, Prefix};

/// Bytes under keys. No method has a default: who implements it decides everything.
#[async_trait]
pub trait ObjectStore: fmt::Debug + Send + Sync + 'static {
    /// No sync has failed: writes are not refused out of hand.
    fn takes_writes(&self) -> bool;

    /// Size and age of an object.
    async fn head(&self, key: &Key) -> Result<Meta, StoreError>;

    /// An object, opened.
    async fn get(&self, key: &Key) -> Result<Object, StoreError>;

    /// Writes or replaces an object, as a whole or not at all.
    async fn put(&self, key: &Key, body: Bytes, durability: Durability) -> Result<(), StoreError>;

    /// Removes an object and the folders that it leaves empty. One that is not there is removed.
    async fn delete(&self, key: &Key) -> Result<(), StoreError>;

    /// The objects below `prefix` and after `after`, in the order of their keys' bytes.
    fn list<'a>(
        &'a self,
        prefix: &Prefix,
        after: Option<&Key>,
    ) -> BoxStream<'a, Result<Meta, StoreError>>;

    /// The prefixes one part longer than `prefix` that objects are below, in the order of their bytes. What was deleted
    /// a moment ago may still show.
    async fn folders(&self, prefix: &Prefix) -> Result<Vec<Prefix>, StoreError>;

    /// Adds `body` to the staged object, of which the bytes up to `at.offset` count: what a dead
    /// server has left after them is cut. Hashes while it writes. What it returns is durable, also
    /// when the body broke off: the client may go on from there.
    async fn append(&self, staged: &Key, at: Progress, body: ByteStream) -> Appended;

    /// Makes a file that has no name yet (`O_TMPFILE`) a staged object without copying it, where it is on the disk that this store
    /// keeps objects on; nobody may write to it any more. False: it is not, and its bytes are to be [appended](Self::append).
    /// They are durable after [`ObjectStore::settle`].
    async fn adopt(&self, file: &Arc<File>, staged: &Key) -> Result<bool, StoreError>;

    /// Makes an adopted object's bytes durable.
    async fn settle(&self, file: &Arc<File>) -> Result<(), StoreError>;

    /// Moves a staged object to its name, durably. What is there is replaced, which heals it.
    async fn publish(&self, staged: &Key, to: &Key) -> Result<(), StoreError>;

    /// Makes everything durable that was put or deleted before.
    async fn flush(&self) -> Result<(), StoreError>;
}

/// When a write must be safe from a loss of power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// When the call returns.
    Now,
    /// After the next [`ObjectStore::flush`]; until then the journal can write it again.
    AtFlush,
}

/// An object's outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// Its name.
    pub key: Key,
    /// Bytes.
    pub size: u64,
    /// When it was written last.
    pub modified: SystemTime,
}

/// An object, opened: its bytes stay as they are until it is dropped, whatever happens to its
/// name.
#[derive(Debug, Clone)]
pub struct Object {
    /// Bytes.
    pub size: u64,
    /// Where to read them.
    pub content: Content,
}

/// Where an object's bytes are.
#[derive(Debug, Clone)]
pub enum Content {
    /// In a file, from its beginning. Read it by position; the handle is shared.
    File(Arc<File>),
    /// Here.
    Bytes(Bytes),
}

/// An upload so far.
#[derive(Debug, Clone)]
pub struct Progress {
    /// Bytes.
    pub offset: u64,
    /// Their hash so far.
    pub hashers: Hashers,
}

/// What became of an append: what is stored in any case, and why it is not all.
#[derive(Debug)]
pub struct Appended {
    /// The upload so far.
    pub progress: Progress,
    /// Why it stopped before the body's end.
    pub failure: Option<AppendError>,
}

/// Why an append stopped.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The body broke off.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The store cannot take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The bytes of a request, as they arrive.
pub type ByteStream = BoxStream<'static, Result<Bytes, BodyError>>;

/// Why a request's body ended before its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The connection broke or was malformed.
    #[error("the body broke off: {0}")]
    Broken(String),
    /// Nothing came for too long.
    #[error("the body stalled")]
    Stalled,
    /// More than may be stored.
    #[error("the body is too long")]
    TooLong,
}

/// Which bytes of a blob a chunk holds: from `start` to `end`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkRange {
    start: u64,
    end: u64,
}

impl ChunkRange {
    /// `None` when the end is before the start, or beyond what can be counted.
    pub const fn new(start: u64, end: u64) -> Option<Self> {
        if start <= end && end < u64::MAX {
            Some(Self { start, end })
        } else {
            None
        }
    }

    /// The first byte's position.
    pub const fn start(self) -> u64 {
        self.start
    }

    /// How many bytes.
    pub const fn length(self) -> u64 {
        self.end - self.start + 1
    }
}

/// A store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such object.
    #[error("{0} does not exist")]
    NotFound(Key),
    /// No space is left.
    #[error("no space left")]
    Full,
    /// A sync failed earlier: what was written before may be lost, so nothing more is accepted.
    #[error("writes are stopped since a sync failed")]
    ReadOnly,
    /// Try again later.
    #[error("the object store does not answer")]
    Unavailable(#[source] Source),
}
