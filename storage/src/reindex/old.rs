//! What the old index knows better than the objects.
//!
//! Its journal names the links that do not say yet what was acknowledged: a full disk or a loss of power leaves such. To
//! build from the objects without it would lose those pushes, and bring back what was deleted. Of tokens, of
//! records and of the audit record the objects know nothing at all.

use std::path::Path;
use std::sync::Arc;

use super::ReindexError;
use crate::index::Fact;
use crate::index::sqlite::OpenIndexError;
use crate::index::{AuditTable as _, RecordTable as _, TokenTable as _};
use crate::mirror::Mirror;
use crate::{Index, ObjectStore, SqliteIndex, StorageError};

/// Tokens or records taken over at once.
const PAGE: usize = 1_000;

/// Makes the objects say what the index at `path` says, and closes it. One that cannot be read has nothing to say.
pub(super) async fn settle(store: &Arc<dyn ObjectStore>, path: &Path) -> Result<(), ReindexError> {
    if !path.exists() {
        return Ok(());
    }
    let index: Arc<dyn Index> = match SqliteIndex::open(path) {
        Ok(index) => Arc::new(index),
        Err(error @ OpenIndexError::TornIndex { .. }) => {
            tracing::warn!(%error, "the journal of the old index is lost");
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let mirror = Mirror::new(Arc::clone(store), Arc::clone(&index));
    let links = match mirror.pending().await {
        Ok(0) => return Ok(()),
        Ok(links) => links,
        Err(error @ StorageError::Corrupt { .. }) => {
            tracing::warn!(%error, "the journal of the old index is lost");
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    if is_damaged(&*index).await? {
        return Err(ReindexError::Untrusted { links });
    }
    mirror.replay().await?;
    match mirror.pending().await? {
        0 => Ok(()),
        links => Err(ReindexError::Unsettled { links }),
    }
}

/// Opens the index at `path` for what no object holds. `None`: there is none, or it cannot be read, and then that is lost;
/// `lenient`, also one that a newer program wrote.
pub(super) fn open(path: &Path, lenient: bool) -> Result<Option<SqliteIndex>, ReindexError> {
    if !path.exists() {
        return Ok(None);
    }
    match SqliteIndex::open(path) {
        Ok(old) => Ok(Some(old)),
        Err(error) if lenient || matches!(error, OpenIndexError::TornIndex { .. }) => {
            tracing::warn!(%error, "API tokens, logins, builds and the audit record of the old index are lost");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Rows of the audit record copied at once.
const ROWS: usize = 1_000;

/// Copies the audit record into a new index; returns how many rows. Of a damaged one it copies what can be read.
pub(super) async fn carry_audit(old: &SqliteIndex, into: &dyn Index) -> Result<u64, ReindexError> {
    let (mut after, mut carried) = (0, 0);
    loop {
        let rows = match old.audit_since(after, ROWS).await {
            Ok(rows) => rows,
            Err(error @ StorageError::Corrupt { .. }) => {
                tracing::warn!(%error, carried, "the rest of the old index's audit record is lost");
                return Ok(carried);
            }
            Err(error) => return Err(error.into()),
        };
        let Some(last) = rows.last() else {
            return Ok(carried);
        };
        after = last.id;
        carried += rows.len() as u64;
        into.carry_audit(rows).await?;
    }
}

/// Takes over the tokens of users. Those of a damaged index are lost: their users make new ones.
pub(super) async fn take_tokens(old: &SqliteIndex, into: &dyn Index) -> Result<(), ReindexError> {
    let mut after: Option<String> = None;
    loop {
        let tokens = match old.all_tokens(after.as_deref(), PAGE).await {
            Ok(tokens) => tokens,
            Err(error @ StorageError::Corrupt { .. }) => {
                tracing::warn!(%error, "API tokens and logins of the old index are lost");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let Some(last) = tokens.last() else {
            return Ok(());
        };
        after = Some(last.id.clone());
        into.load(tokens.into_iter().map(Fact::Token).collect())
            .await?;
    }
}

/// Copies records into a new index; returns how many. Of a damaged one it copies what can be read.
pub(super) async fn carry_records(
    old: &SqliteIndex,
    into: &dyn Index,
) -> Result<u64, ReindexError> {
    let (mut after, mut carried) = (None, 0);
    loop {
        let records = match old.all_records(after.as_ref(), PAGE).await {
            Ok(records) => records,
            Err(error @ StorageError::Corrupt { .. }) => {
                tracing::warn!(%error, carried, "the rest of the old index's builds, runs and secrets is lost");
                return Ok(carried);
            }
            Err(error) => return Err(error.into()),
        };
        let Some(last) = records.last() else {
            return Ok(carried);
        };
        after = Some(last.key.clone());
        carried += records.len() as u64;
        into.carry_records(records).await?;
    }
}

/// What a damaged index says of a link may be wrong: to delete an object by it could be the second loss.
async fn is_damaged(index: &dyn Index) -> Result<bool, StorageError> {
    match index.damage().await {
        Ok(damage) => Ok(!damage.is_empty()),
        Err(StorageError::Corrupt { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}
