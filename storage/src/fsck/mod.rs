//! Holds objects and index against each other, both ways.
//!
//! - Index → objects: every blob is there with its size, every link is there and says what the
//!   index says, every manifest's bytes are its digest's and name what the index has, every blob
//!   that a manifest needs is held by its repository, every tag points to a manifest.
//! - Objects → index: every link has its row. What merely takes space is noted.
//!
//! Bounded memory: rows come in pages, keys in a stream, and findings beyond
//! [`MAX_FINDINGS`] are counted only. Nothing is changed.

mod check;
mod finding;
mod manifest;
pub(crate) mod object;
mod pass;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::{Index, ObjectStore, StorageError};
use check::Check;
pub(crate) use check::quoted;
use pass::Pass;

pub use finding::{Finding, Findings, Kind, MAX_FINDINGS, Severity};

/// How to look.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Read every blob and compare it with its digest. Manifests always are.
    pub deep: bool,
    /// A server may be at work: what looks wrong is looked at once more after this time, because
    /// a push that was half way then is not now.
    pub again_after: Option<Duration>,
    /// No image may ever be pushed without its blobs: one that lacks some has lost them. Else it
    /// is only noted.
    pub complete: bool,
}

/// What was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// Distinct blobs and manifests of the index.
    pub blobs: u64,
    /// Blobs of repositories.
    pub layers: u64,
    /// Manifests of repositories.
    pub manifests: u64,
    /// Tags.
    pub tags: u64,
    /// Objects in the store.
    pub objects: u64,
    /// Bytes that were hashed.
    pub hashed_bytes: u64,
}

/// What was looked at and found.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What was looked at.
    pub checked: Checked,
    /// What was found.
    #[serde(flatten)]
    pub findings: Findings,
}

impl Report {
    /// Nothing is wrong: there may be notes.
    pub fn is_clean(&self) -> bool {
        self.findings.is_clean()
    }
}

/// Checks everything. An error means that it could not be checked, not that something is wrong.
pub async fn fsck(
    store: &Arc<dyn ObjectStore>,
    index: &Arc<dyn Index>,
    options: Options,
    progress: &(dyn Fn(Checked) + Sync),
) -> Result<Report, StorageError> {
    let check = Check {
        store: Arc::clone(store),
        index: Arc::clone(index),
        deep: options.deep,
        complete: options.complete,
    };
    let mut pass = Pass::new(check, options, progress);
    pass.database().await?;
    pass.blobs().await?;
    pass.rows().await?;
    pass.links().await?;
    pass.finish().await
}
