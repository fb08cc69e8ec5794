//! Opaque tokens of `auth` in the index of `storage`, which do not know each other.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use auth::opaque::{Most, StoreFailed, StoredToken, TokenStore};
use storage::index::{KeptToken, WhenFull};
use storage::{Index, StorageError};

/// Keeps tokens in the index, where every replica that shares it finds them.
#[derive(Debug)]
pub struct IndexedTokens(Arc<dyn Index>);

impl IndexedTokens {
    /// In this index.
    pub fn new(index: Arc<dyn Index>) -> Self {
        Self(index)
    }
}

#[async_trait]
impl TokenStore for IndexedTokens {
    async fn add(
        &self,
        token: StoredToken,
        most: Most,
        now: SystemTime,
    ) -> Result<bool, StoreFailed> {
        let (most, when_full) = match most {
            Most::Refused(most) => (most, WhenFull::Refuse),
            Most::InPlaceOfOldest(most) => (most, WhenFull::ForgetOldest),
        };
        let added = self.0.add_token(&kept(token), most, when_full, now).await;
        added.map_err(failed)
    }

    async fn find(&self, id: &str) -> Result<Option<StoredToken>, StoreFailed> {
        let found = self.0.token(id).await.map_err(failed)?;
        Ok(found.map(stored))
    }

    async fn list(
        &self,
        owner: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredToken>, StoreFailed> {
        let found = self.0.tokens(owner, after, limit).await.map_err(failed)?;
        Ok(found.into_iter().map(stored).collect())
    }

    async fn revoke(
        &self,
        owner: Option<&str>,
        id: &str,
        now: SystemTime,
    ) -> Result<bool, StoreFailed> {
        self.0.revoke_token(owner, id, now).await.map_err(failed)
    }

    async fn touch(&self, id: &str, now: SystemTime) -> Result<(), StoreFailed> {
        self.0.touch_token(id, now).await.map_err(failed)
    }
}

fn kept(token: StoredToken) -> KeptToken {
    KeptToken {
        id: token.id,
        kind: token.kind,
        owner: token.owner,
        hash: token.hash,
        created: token.created,
        expires: token.expires,
        used: token.used,
        revoked: token.revoked,
        document: token.document,
    }
}

fn stored(token: KeptToken) -> StoredToken {
    StoredToken {
        id: token.id,
        kind: token.kind,
        owner: token.owner,
        hash: token.hash,
        created: token.created,
        expires: token.expires,
        used: token.used,
        revoked: token.revoked,
        document: token.document,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err hands it over")]
fn failed(error: StorageError) -> StoreFailed {
    StoreFailed(error.to_string())
}
