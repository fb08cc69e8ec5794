//! What the old index knows better than the objects.
//!
//! Its journal names the links that do not say yet what was acknowledged: a full disk or a loss of power leaves such. To
//! build from the objects without it would lose those pushes, and bring back what was deleted.

use std::path::Path;
use std::sync::Arc;

use super::ReindexError;
use crate::index::Fact;
use crate::index::sqlite::OpenIndexError;
use crate::mirror::Mirror;
use crate::{Index, ObjectStore, SqliteIndex, StorageError};

/// Tokens taken over at once.
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

/// Takes over the tokens of users, which are in no object, from the index at `path`. Of one that cannot be read they are
/// lost: their users make new ones.
pub(super) async fn take_tokens(path: &Path, into: &dyn Index) -> Result<(), ReindexError> {
    if !path.exists() {
        return Ok(());
    }
    let old = match SqliteIndex::open(path) {
        Ok(old) => old,
        Err(error @ OpenIndexError::TornIndex { .. }) => {
            tracing::warn!(%error, "API tokens and logins of the old index are lost");
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let mut after: Option<String> = None;
    loop {
        let tokens = match old.tokens(None, after.as_deref(), PAGE).await {
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

/// What a damaged index says of a link may be wrong: to delete an object by it could be the second loss.
async fn is_damaged(index: &dyn Index) -> Result<bool, StorageError> {
    match index.damage().await {
        Ok(damage) => Ok(!damage.is_empty()),
        Err(StorageError::Corrupt { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}
