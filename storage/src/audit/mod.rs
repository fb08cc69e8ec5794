//! The audit record: who did what, from where, and who was refused what.
//!
//! A change writes its own rows, in the transaction that makes it: there is no change without its rows, and no row of a
//! change that was not made. What changes nothing (refusals, issued tokens, pulls) is [noted](Audit::note) apart. Rows
//! are never changed, and go only by [retention](Audit::expire).

mod entry;
mod query;
mod words;

pub use entry::{Cause, Entry, Groups, Origin, Place, Row};
pub use query::{Page, Position, Query};
pub use words::{Class, Outcome, Proof, UnknownWord, Verb};

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::{Durability, Index, StorageError};

/// Rows removed in one transaction, so that nobody waits long for the writer.
const EXPIRED_AT_ONCE: usize = 500;
/// Rows noted in one transaction.
const NOTED_AT_ONCE: usize = 256;

/// How long rows stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Older rows go.
    pub age: Duration,
    /// Of each [`Class`] so many rows stay, the newest.
    pub rows: u64,
}

/// The record.
#[derive(Debug, Clone)]
pub struct Audit {
    index: Arc<dyn Index>,
}

impl Audit {
    /// The record that `index` keeps.
    pub fn of(index: &Arc<dyn Index>) -> Self {
        let index = Arc::clone(index);
        Self { index }
    }

    /// Adds what changed nothing in the index: durably, or so that it survives this process only.
    pub async fn note(
        &self,
        entries: Vec<Entry>,
        durability: Durability,
    ) -> Result<(), StorageError> {
        let mut entries = entries.into_iter();
        loop {
            let some: Vec<Entry> = entries.by_ref().take(NOTED_AT_ONCE).collect();
            if some.is_empty() {
                return Ok(());
            }
            self.index.note(some, durability).await?;
        }
    }

    /// What answers `query`, newest first, below `before`: at most `limit` rows. A page may hold fewer although more
    /// come after it; the last page has no [`Page::next`].
    pub async fn page(
        &self,
        query: &Query,
        before: Option<Position>,
        limit: usize,
    ) -> Result<Page, StorageError> {
        self.index.audit_page(query, before, limit).await
    }

    /// Rows that came after the row `after`, oldest first: at most `limit`.
    pub async fn since(&self, after: i64, limit: usize) -> Result<Vec<Row>, StorageError> {
        self.index.audit_since(after, limit).await
    }

    /// The number of the last row; 0 if there never was one.
    pub async fn last(&self) -> Result<i64, StorageError> {
        self.index.audit_last().await
    }

    /// Removes what `retention` does not keep; returns how many rows.
    pub async fn expire(
        &self,
        retention: Retention,
        now: SystemTime,
    ) -> Result<usize, StorageError> {
        let mut expired = 0;
        for class in Class::ALL {
            let too_old = now.checked_sub(retention.age);
            let too_many = self.index.audit_bound(class, retention.rows).await?;
            let Some(before) = too_old.max(too_many) else {
                continue;
            };
            loop {
                let gone = self
                    .index
                    .expire_audit(class, before, EXPIRED_AT_ONCE)
                    .await?;
                expired += gone;
                if gone < EXPIRED_AT_ONCE {
                    break;
                }
            }
        }
        Ok(expired)
    }
}
