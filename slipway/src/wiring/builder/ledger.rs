//! The builder's records in the index, which do not know each other.

use std::sync::Arc;

use async_trait::async_trait;
use builder::ledger::{self, Brief, Kept, Key, Kind, Ledger, LedgerError, Write};
use storage::index::{
    MAX_BATCH_BYTES, MAX_BATCH_RECORDS, MAX_BRIEF_BYTES, MAX_RECORD_BYTES, Record, RecordBatch,
    RecordBrief, RecordKey, RecordWrite, RecordsWritten,
};
use storage::{Index, StorageError};

#[cfg(test)]
mod tests;

// What the builder is promised, the index takes.
const _: () = assert!(ledger::MAX_BODY_BYTES <= MAX_RECORD_BYTES);
const _: () = assert!(ledger::MAX_BRIEF_BYTES <= MAX_BRIEF_BYTES);
const _: () = assert!(ledger::MAX_BATCH_BYTES <= MAX_BATCH_BYTES);
const _: () = assert!(ledger::MAX_WRITES <= MAX_BATCH_RECORDS);

/// Keeps the builder's records in the index.
#[derive(Debug)]
pub(crate) struct IndexedLedger(Arc<dyn Index>);

impl IndexedLedger {
    /// In this index.
    pub(crate) fn new(index: Arc<dyn Index>) -> Self {
        Self(index)
    }
}

#[async_trait]
impl Ledger for IndexedLedger {
    async fn get(&self, key: &Key) -> Result<Option<Kept>, LedgerError> {
        let found = self.0.record(&stored(key)).await.map_err(unavailable)?;
        Ok(found.map(|record| kept(key.kind, record)))
    }

    async fn write(&self, writes: Vec<Write>) -> Result<(), LedgerError> {
        let keys: Vec<Key> = writes.iter().map(|write| key(write).clone()).collect();
        let batch = RecordBatch::new(writes.into_iter().map(write_of).collect());
        let batch = batch.map_err(|error| LedgerError::Refused(error.to_string()))?;
        match self.0.write_records(batch).await.map_err(unavailable)? {
            RecordsWritten::Done => Ok(()),
            RecordsWritten::Conflict(with) => {
                let with = keys.into_iter().find(|key| stored(key) == with);
                Err(with.map_or_else(
                    || LedgerError::Unavailable("a record that was not written".to_owned()),
                    LedgerError::Conflict,
                ))
            }
        }
    }

    async fn list(
        &self,
        kind: Kind,
        namespace: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Kept>, LedgerError> {
        let index = &self.0;
        let found = index.records(kind.as_str(), namespace, prefix, after, limit);
        page(kind, found.await)
    }

    async fn briefs(
        &self,
        kind: Kind,
        namespace: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Brief>, LedgerError> {
        let index = &self.0;
        let found = index.briefs(kind.as_str(), namespace, prefix, after, limit);
        let found = found.await.map_err(unavailable)?.into_iter();
        let brief = |found: RecordBrief| Brief {
            name: found.name,
            brief: found.brief,
        };
        Ok(found.map(brief).collect())
    }

    async fn open(
        &self,
        kind: Kind,
        after: Option<(&str, &str)>,
        limit: usize,
    ) -> Result<Vec<Kept>, LedgerError> {
        page(kind, self.0.open_records(kind.as_str(), after, limit).await)
    }

    async fn namespaces(
        &self,
        kind: Kind,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, LedgerError> {
        let index = &self.0;
        let found = index.record_namespaces(kind.as_str(), after, limit).await;
        found.map_err(unavailable)
    }

    async fn count(&self, kind: Kind, namespace: &str) -> Result<usize, LedgerError> {
        let counted = self.0.count_records(kind.as_str(), namespace).await;
        let counted = counted.map_err(unavailable)?;
        Ok(usize::try_from(counted).unwrap_or(usize::MAX))
    }
}

fn key(write: &Write) -> &Key {
    match write {
        Write::Put { key, .. } | Write::Remove { key, .. } => key,
    }
}

fn stored(key: &Key) -> RecordKey {
    RecordKey {
        kind: key.kind.as_str().to_owned(),
        namespace: key.namespace.clone(),
        name: key.name.clone(),
    }
}

fn write_of(write: Write) -> RecordWrite {
    let key = stored(key(&write));
    match write {
        Write::Put {
            revision,
            open,
            brief,
            body,
            ..
        } => RecordWrite::Put {
            key,
            revision,
            open,
            brief,
            body,
        },
        Write::Remove { revision, .. } => RecordWrite::Remove { key, revision },
    }
}

fn kept(kind: Kind, record: Record) -> Kept {
    Kept {
        key: Key {
            kind,
            namespace: record.key.namespace,
            name: record.key.name,
        },
        revision: record.revision,
        open: record.open,
        body: record.body,
    }
}

fn page(kind: Kind, found: Result<Vec<Record>, StorageError>) -> Result<Vec<Kept>, LedgerError> {
    let found = found.map_err(unavailable)?.into_iter();
    Ok(found.map(|record| kept(kind, record)).collect())
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err hands it over")]
fn unavailable(error: StorageError) -> LedgerError {
    LedgerError::Unavailable(error.to_string())
}
