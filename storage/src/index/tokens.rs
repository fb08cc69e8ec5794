//! The part of the seam that keeps tokens of users.

use std::time::SystemTime;

use async_trait::async_trait;

use super::{KeptToken, WhenFull};
use crate::StorageError;

/// Opaque tokens in the index: whose they are and the hash of their text. No object of the store knows of them.
#[async_trait]
pub trait TokenTable {
    /// Records a token, unless its owner has `most` of its kind that have not ended and were not revoked. False: it was not recorded.
    async fn add_token(
        &self,
        token: &KeptToken,
        most: usize,
        when_full: WhenFull,
        now: SystemTime,
    ) -> Result<bool, StorageError>;

    /// A token.
    async fn token(&self, id: &str) -> Result<Option<KeptToken>, StorageError>;

    /// Tokens of an owner, or of all, in the order of their names after `after`, without those that were revoked.
    async fn tokens(
        &self,
        owner: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<KeptToken>, StorageError>;

    /// All tokens that are kept, also those that were revoked, in the order of their names after `after`.
    async fn all_tokens(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<KeptToken>, StorageError>;

    /// Notes that a token was used (soft).
    async fn touch_token(&self, id: &str, now: SystemTime) -> Result<(), StorageError>;

    /// Revokes a token, if it is this owner's where one is given. False: there was none that was not. It is still found, and
    /// listed; of those that an owner revoked, the last hundred are.
    async fn revoke_token(
        &self,
        owner: Option<&str>,
        id: &str,
        now: SystemTime,
    ) -> Result<bool, StorageError>;
}
