//! How secrets are sealed.

use std::fmt;

use zeroize::Zeroizing;

use crate::ledger::Key;

/// Seals secrets with the server's key. What was sealed as one record opens as that record only.
pub trait Sealing: fmt::Debug + Send + Sync + 'static {
    /// Seals; base64.
    fn seal(&self, record: &Key, content: &[u8]) -> Result<String, SealingError>;

    /// Opens what [`Sealing::seal`] gave.
    fn open(&self, record: &Key, sealed: &str) -> Result<Zeroizing<Vec<u8>>, SealingError>;
}

/// It cannot be sealed or opened: the key is another one, or what is sealed was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SealingError(pub String);
