//! The seam to where tokens are kept.

use std::fmt;
use std::time::SystemTime;

use async_trait::async_trait;

/// A token as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredToken {
    /// Its name, unique.
    pub id: String,
    /// What it is: tokens of an owner are counted by kind.
    pub kind: String,
    /// [`Identity::principal`](crate::Identity::principal) of its owner.
    pub owner: String,
    /// SHA-256 of its text.
    pub hash: Vec<u8>,
    /// When it was made.
    pub created: SystemTime,
    /// When it ends.
    pub expires: SystemTime,
    /// When it was last used, to about a minute.
    pub used: Option<SystemTime>,
    /// When it was taken away before its end.
    pub revoked: Option<SystemTime>,
    /// The rest, as JSON.
    pub document: String,
}

/// How many tokens of a kind an owner has at most, and what becomes of one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Most {
    /// It is not kept.
    Refused(usize),
    /// The oldest gives way to it.
    InPlaceOfOldest(usize),
}

/// Keeps tokens. One that has been revoked is found as such, by any replica, or no more.
#[async_trait]
pub trait TokenStore: fmt::Debug + Send + Sync + 'static {
    /// Keeps a token durably. False: nothing was kept, since the owner has as many of the kind that have not ended.
    async fn add(
        &self,
        token: StoredToken,
        most: Most,
        now: SystemTime,
    ) -> Result<bool, StoreFailed>;

    /// A token, also one that was revoked.
    async fn find(&self, id: &str) -> Result<Option<StoredToken>, StoreFailed>;

    /// Tokens of an owner, or of all, in the order of their ids after `after`, without those that were revoked.
    async fn list(
        &self,
        owner: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredToken>, StoreFailed>;

    /// Revokes a token durably, if it is this owner's where one is given. False: there was none that was not.
    async fn revoke(
        &self,
        owner: Option<&str>,
        id: &str,
        now: SystemTime,
    ) -> Result<bool, StoreFailed>;

    /// Notes that a token was used. It may be lost.
    async fn touch(&self, id: &str, now: SystemTime) -> Result<(), StoreFailed>;
}

/// It cannot answer now.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreFailed(pub String);
