//! Errors by what the caller can do.

use crate::{Key, StoreError};

/// An error's cause, for the log.
pub(crate) type Source = Box<dyn std::error::Error + Send + Sync>;

/// Storage did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// No space is left. Nothing was changed.
    #[error("no space left")]
    Full,
    /// A sync failed earlier, so nothing more is written until the store is opened again.
    #[error("writes are stopped since a sync failed")]
    ReadOnly,
    /// Try again later.
    #[error("storage does not answer")]
    Unavailable(#[source] Source),
    /// What is stored is not what was stored.
    #[error("damaged: {what}")]
    Corrupt {
        /// What is damaged, and how.
        what: String,
    },
}

impl StorageError {
    /// An error of a part that is otherwise sound.
    pub(crate) fn unavailable(source: impl Into<Source>) -> Self {
        Self::Unavailable(source.into())
    }

    /// What several waited for failed for each of them.
    pub(crate) fn shared(error: &std::sync::Arc<Self>) -> Self {
        match &**error {
            Self::Full => Self::Full,
            Self::ReadOnly => Self::ReadOnly,
            Self::Unavailable(_) => Self::unavailable(std::sync::Arc::clone(error)),
            Self::Corrupt { what } => Self::Corrupt { what: what.clone() },
        }
    }

    pub(crate) fn missing(key: &Key) -> Self {
        Self::damaged(format!("{key} is missing"))
    }

    /// Said aloud where it is found: whoever asked may be answered in other words.
    pub(crate) fn damaged(what: String) -> Self {
        tracing::error!(what, "stored content is damaged");
        Self::Corrupt { what }
    }
}

impl From<StoreError> for StorageError {
    /// For an object that the index says is there: not finding it is damage.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(key) => Self::missing(&key),
            StoreError::Full => Self::Full,
            StoreError::ReadOnly => Self::ReadOnly,
            StoreError::Unavailable(source) => Self::Unavailable(source),
        }
    }
}
