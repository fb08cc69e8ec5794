//! Where records are kept.
//!
//! The builder knows no database: records are JSON under kind, namespace and name, each with a revision that its writer
//! must know. One batch of writes is all or nothing, and durable when it returns.

use std::fmt;

use async_trait::async_trait;

#[cfg(any(test, feature = "test-util"))]
pub mod memory;
#[cfg(any(test, feature = "test-util"))]
pub mod suite;

/// Longest [brief](Brief) of a record, in bytes.
pub const MAX_BRIEF_BYTES: usize = 4 << 10;
/// Longest body of a record, in bytes.
pub const MAX_BODY_BYTES: usize = 2 << 20;
/// Most bodies of one batch together, in bytes.
pub const MAX_BATCH_BYTES: usize = 16 << 20;
/// Most writes of one batch.
pub const MAX_WRITES: usize = 1_000;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// [`crate::records::Build`].
    Build,
    /// [`crate::records::Run`].
    Run,
    /// [`crate::records::BuilderImage`].
    BuilderImage,
    /// [`crate::records::Secret`], sealed.
    Secret,
    /// Deliveries of webhooks that were taken, for a while.
    Delivery,
    /// Events for others, in the order of their names.
    Event,
    /// How many events a namespace has had: so many as its one record of this kind has revisions.
    EventCount,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Build,
        Self::Run,
        Self::BuilderImage,
        Self::Secret,
        Self::Delivery,
        Self::Event,
        Self::EventCount,
    ];

    /// The kind's name where it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Run => "build-run",
            Self::BuilderImage => "builder-image",
            Self::Secret => "secret",
            Self::Delivery => "delivery",
            Self::Event => "event",
            Self::EventCount => "event-count",
        }
    }
}

/// Which record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// What it is.
    pub kind: Kind,
    /// Where; empty for what belongs to the whole server.
    pub namespace: String,
    /// Its name there.
    pub name: String,
}

/// A record as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Which.
    pub key: Key,
    /// 1 when it was made, one more with each write.
    pub revision: u64,
    /// Whether something is still to be done about it: a run that has not ended, a build that is triggered.
    pub open: bool,
    /// JSON.
    pub body: Vec<u8>,
}

/// As little of a record as lists need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brief {
    /// Its name.
    pub name: String,
    /// What was said of it in the write that it is of, in some hundred bytes that are read without it; `None` if nothing was,
    /// as by programs that knew nothing of this.
    pub brief: Option<Vec<u8>>,
}

/// A change of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Make it, or replace the one of this revision. `revision: None`: there must be none.
    Put {
        /// Which.
        key: Key,
        /// What is there now.
        revision: Option<u64>,
        /// See [`Kept::open`].
        open: bool,
        /// See [`Brief::brief`].
        brief: Option<Vec<u8>>,
        /// JSON.
        body: Vec<u8>,
    },
    /// Remove the one of this revision.
    Remove {
        /// Which.
        key: Key,
        /// What is there now.
        revision: u64,
    },
}

/// Keeps records.
#[async_trait]
pub trait Ledger: fmt::Debug + Send + Sync + 'static {
    /// A record.
    async fn get(&self, key: &Key) -> Result<Option<Kept>, LedgerError>;

    /// All writes or none, each of another record. [`LedgerError::Conflict`] if one finds another revision than it names,
    /// [`LedgerError::Refused`] where a body is longer than [`MAX_BODY_BYTES`] or a brief than [`MAX_BRIEF_BYTES`], all
    /// together are than [`MAX_BATCH_BYTES`], or there are more than [`MAX_WRITES`].
    async fn write(&self, writes: Vec<Write>) -> Result<(), LedgerError>;

    /// Records of a namespace in the byte order of names after `after`, at most `limit`; `prefix` is how names begin. Fewer
    /// come where their bodies are long: only an empty page is the end.
    async fn list(
        &self,
        kind: Kind,
        namespace: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Kept>, LedgerError>;

    /// The same records in brief, at most `limit`; no body is read.
    async fn briefs(
        &self,
        kind: Kind,
        namespace: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Brief>, LedgerError>;

    /// [Open](Kept::open) records of all namespaces, in the order of namespace and name after `after`, at most `limit`. Paged
    /// as [`Ledger::list`] is.
    async fn open(
        &self,
        kind: Kind,
        after: Option<(&str, &str)>,
        limit: usize,
    ) -> Result<Vec<Kept>, LedgerError>;

    /// Namespaces that have records of the kind, in byte order after `after`, at most `limit`.
    async fn namespaces(
        &self,
        kind: Kind,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, LedgerError>;

    /// How many records of the kind a namespace has.
    async fn count(&self, kind: Kind, namespace: &str) -> Result<usize, LedgerError>;
}

/// Why records are not to be had or not written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Somebody else wrote first: read it again.
    #[error("{0:?} was changed meanwhile")]
    Conflict(Key),
    /// It is too much, or makes no sense, however often it is tried.
    #[error("{0}")]
    Refused(String),
    /// Storage does not answer.
    #[error("records cannot be read or written now: {0}")]
    Unavailable(String),
}
