//! How much there is: for administrators, not for requests.

use crate::{Index, StorageError};

pub use crate::index::{Census, RepositoryCensus};

/// Counts everything, and names the `top` repositories that hold the most bytes. Reads the whole index; a server goes
/// on meanwhile.
pub async fn stats(index: &dyn Index, top: usize) -> Result<Census, StorageError> {
    index.census(top).await
}
