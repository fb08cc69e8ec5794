//! How much is stored.

use crate::index::Census;
use crate::{Index, StorageError};

/// Counts, sums, and the largest repositories.
pub type Stats = Census;

/// Repositories that are named.
const LARGEST: usize = 10;

/// Counts everything. Reads the whole index, so it takes seconds where there are millions.
pub async fn stats(index: &dyn Index) -> Result<Stats, StorageError> {
    index.census(LARGEST).await
}
