//! The part of the seam that is the audit record.

use std::time::SystemTime;

use async_trait::async_trait;

use crate::audit::{Class, Entry, Page, Position, Query, Row};
use crate::{Durability, StorageError};

/// The audit record of an index. What changes the index writes its rows by itself; these are the others, and the ways to
/// read.
#[async_trait]
pub trait AuditTable {
    /// Adds rows of what changed nothing else here.
    async fn note(&self, entries: Vec<Entry>, durability: Durability) -> Result<(), StorageError>;

    /// See [`Audit::page`](crate::audit::Audit::page).
    async fn audit_page(
        &self,
        query: &Query,
        before: Option<Position>,
        limit: usize,
    ) -> Result<Page, StorageError>;

    /// Rows with greater numbers than `after`, in their order.
    async fn audit_since(&self, after: i64, limit: usize) -> Result<Vec<Row>, StorageError>;

    /// The greatest number of a row, 0 without any.
    async fn audit_last(&self) -> Result<i64, StorageError>;

    /// The time of the oldest of the newest `most` rows of a class; `None` if there are fewer.
    async fn audit_bound(
        &self,
        class: Class,
        most: u64,
    ) -> Result<Option<SystemTime>, StorageError>;

    /// Removes rows of a class that are older than `before` (soft): at most `limit`; returns how many. Nothing else
    /// removes rows, and nothing changes them.
    async fn expire_audit(
        &self,
        class: Class,
        before: SystemTime,
        limit: usize,
    ) -> Result<usize, StorageError>;

    /// Records rows of another index's audit record under their numbers (soft).
    async fn carry_audit(&self, rows: Vec<Row>) -> Result<(), StorageError>;
}
