//! The part of the seam that keeps records of others: documents that the index does not look into.

use std::collections::HashSet;

use async_trait::async_trait;

use crate::StorageError;

/// Longest name of a record, its namespace and its kind, in bytes each.
pub const MAX_RECORD_NAME_BYTES: usize = 255;
/// Longest [brief](Record::brief), in bytes.
pub const MAX_BRIEF_BYTES: usize = 4 << 10;
/// Longest document, in bytes.
pub const MAX_RECORD_BYTES: usize = 2 << 20;
/// Most that is written at once, in records.
pub const MAX_BATCH_RECORDS: usize = 1_000;
/// Most that is written at once, and most that a page of several records weighs, in bytes.
pub const MAX_BATCH_BYTES: usize = 16 << 20;

/// Records in the index: documents under kind, namespace and name. What is written is written at a known revision, so that
/// nobody overwrites what they have not seen. No object of the store knows of them.
#[async_trait]
pub trait RecordTable {
    /// A record.
    async fn record(&self, key: &RecordKey) -> Result<Option<Record>, StorageError>;

    /// All writes of the batch or none, durably.
    async fn write_records(&self, batch: RecordBatch) -> Result<RecordsWritten, StorageError>;

    /// Records of a namespace whose names begin with `prefix`, in byte order after `after`: at most `limit`, and fewer where
    /// they would weigh more than [`MAX_BATCH_BYTES`]. An empty page is the end.
    async fn records(
        &self,
        kind: &str,
        namespace: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Record>, StorageError>;

    /// Of the same records only name and [brief](Record::brief), whatever their documents weigh, at most `limit`.
    async fn briefs(
        &self,
        kind: &str,
        namespace: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<RecordBrief>, StorageError>;

    /// [Open](Record::open) records of all namespaces, in the order of namespace and name, after those two. Paged as
    /// [`RecordTable::records`] is.
    async fn open_records(
        &self,
        kind: &str,
        after: Option<(&str, &str)>,
        limit: usize,
    ) -> Result<Vec<Record>, StorageError>;

    /// Namespaces that have records of the kind, in byte order after `after`.
    async fn record_namespaces(
        &self,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StorageError>;

    /// How many records of the kind a namespace has.
    async fn count_records(&self, kind: &str, namespace: &str) -> Result<u64, StorageError>;

    /// Every record, in the order of keys. Paged as [`RecordTable::records`] is.
    async fn all_records(
        &self,
        after: Option<&RecordKey>,
        limit: usize,
    ) -> Result<Vec<Record>, StorageError>;

    /// Records another index's records as they were (soft).
    async fn carry_records(&self, records: Vec<Record>) -> Result<(), StorageError>;
}

/// Which record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey {
    /// What it is.
    pub kind: String,
    /// Where; may be empty.
    pub namespace: String,
    /// Its name there.
    pub name: String,
}

impl RecordKey {
    fn is_valid(&self) -> bool {
        let named = |text: &String| !text.is_empty() && text.len() <= MAX_RECORD_NAME_BYTES;
        named(&self.kind) && named(&self.name) && self.namespace.len() <= MAX_RECORD_NAME_BYTES
    }
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Which.
    pub key: RecordKey,
    /// 1 when it was made, one more with each write.
    pub revision: u64,
    /// Whether it is among [`RecordTable::open_records`].
    pub open: bool,
    /// What lists need of the document, if whoever wrote it said so: a few hundred bytes that are read without it.
    pub brief: Option<Vec<u8>>,
    /// The document.
    pub body: Vec<u8>,
}

/// A record, in brief.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordBrief {
    /// The record's name.
    pub name: String,
    /// See [`Record::brief`].
    pub brief: Option<Vec<u8>>,
}

/// A change of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordWrite {
    /// Make it, or replace the one of this revision. `revision: None`: there must be none.
    Put {
        /// Which.
        key: RecordKey,
        /// What is there now.
        revision: Option<u64>,
        /// See [`Record::open`].
        open: bool,
        /// See [`Record::brief`].
        brief: Option<Vec<u8>>,
        /// The document.
        body: Vec<u8>,
    },
    /// Remove the one of this revision.
    Remove {
        /// Which.
        key: RecordKey,
        /// What is there now.
        revision: u64,
    },
}

impl RecordWrite {
    /// Which record.
    pub fn key(&self) -> &RecordKey {
        match self {
            Self::Put { key, .. } | Self::Remove { key, .. } => key,
        }
    }

    /// The revision that must be there.
    pub(crate) fn expected(&self) -> Option<u64> {
        match self {
            Self::Put { revision, .. } => *revision,
            Self::Remove { revision, .. } => Some(*revision),
        }
    }

    fn weight(&self) -> usize {
        match self {
            Self::Put { body, .. } => body.len(),
            Self::Remove { .. } => 0,
        }
    }

    fn brief(&self) -> usize {
        match self {
            Self::Put { brief, .. } => brief.as_ref().map_or(0, Vec::len),
            Self::Remove { .. } => 0,
        }
    }
}

/// Writes that are done together, within bounds, and each of another record.
#[derive(Debug, Clone)]
pub struct RecordBatch(Vec<RecordWrite>);

impl RecordBatch {
    /// Fails with what is too much or makes no sense.
    pub fn new(writes: Vec<RecordWrite>) -> Result<Self, InvalidBatch> {
        if writes.len() > MAX_BATCH_RECORDS {
            return Err(InvalidBatch::Records(writes.len()));
        }
        let mut keys = HashSet::new();
        for write in &writes {
            let key = write.key();
            if !key.is_valid() {
                return Err(InvalidBatch::Name(key.clone()));
            }
            if write.weight() > MAX_RECORD_BYTES {
                return Err(InvalidBatch::Record {
                    key: key.clone(),
                    bytes: write.weight(),
                });
            }
            if write.brief() > MAX_BRIEF_BYTES {
                return Err(InvalidBatch::Brief {
                    key: key.clone(),
                    bytes: write.brief(),
                });
            }
            if !keys.insert(key) {
                return Err(InvalidBatch::Twice(key.clone()));
            }
        }
        let bytes = writes.iter().map(RecordWrite::weight).sum();
        if bytes > MAX_BATCH_BYTES {
            return Err(InvalidBatch::Bytes(bytes));
        }
        Ok(Self(writes))
    }

    /// The writes.
    pub fn writes(&self) -> &[RecordWrite] {
        &self.0
    }
}

/// Why writes are not to be done together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBatch {
    /// Too many.
    #[error("{0} records are more than the {MAX_BATCH_RECORDS} that are written at once")]
    Records(usize),
    /// Too much.
    #[error("{0} bytes are more than the {MAX_BATCH_BYTES} that are written at once")]
    Bytes(usize),
    /// One is too long.
    #[error("{}/{} has {bytes} bytes, and a record at most {MAX_RECORD_BYTES}", .key.namespace, .key.name)]
    Record {
        /// Which.
        key: RecordKey,
        /// Its length.
        bytes: usize,
    },
    /// What is said of one is too long.
    #[error("what is said of {}/{} has {bytes} bytes, and may have {MAX_BRIEF_BYTES}", .key.namespace, .key.name)]
    Brief {
        /// Of which.
        key: RecordKey,
        /// Its length.
        bytes: usize,
    },
    /// A name is empty or too long.
    #[error("{:?} in {:?}: a name has 1 to {MAX_RECORD_NAME_BYTES} bytes", .0.name, .0.namespace)]
    Name(RecordKey),
    /// Two writes of one record.
    #[error("{}/{} is written twice at once", .0.namespace, .0.name)]
    Twice(RecordKey),
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordsWritten {
    /// All of it is durable.
    Done,
    /// This one has another revision than its write names; nothing was written.
    Conflict(RecordKey),
}
