//! Whether a build's owner may still build.

use std::fmt;
use std::time::SystemTime;

use async_trait::async_trait;

use crate::records::Actor;

/// Who knows what people may do now. What a run reads and writes is judged on its own; this says whether it starts at all.
#[async_trait]
pub trait Owners: fmt::Debug + Send + Sync + 'static {
    /// Whether the owner of a build may start runs in its namespace now.
    async fn may_build(
        &self,
        owner: &Actor,
        namespace: &str,
        now: SystemTime,
    ) -> Result<(), OwnerRefused>;
}

/// Why a build's owner starts nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OwnerRefused {
    /// They have not the right, or are gone; the sentence says how to mend it.
    #[error("{0}")]
    Forbidden(String),
    /// It cannot be found out now.
    #[error("{0}")]
    Unavailable(String),
}
