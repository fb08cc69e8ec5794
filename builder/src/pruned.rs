//! Removing what nobody uses: what cannot go keeps nothing else from going.

use std::io;
use std::path::{Path, PathBuf};

/// What the removal of what nobody uses came to.
#[derive(Debug)]
#[must_use]
pub struct Pruned<T = u64> {
    /// How much stays.
    pub kept: T,
    /// The first failure. It has kept nothing else from going.
    pub failed: io::Result<()>,
}

impl<T> Pruned<T> {
    /// What stays, if nothing failed.
    pub fn whole(self) -> io::Result<T> {
        self.failed.map(|()| self.kept)
    }
}

/// Failures of which the first is told.
#[derive(Debug)]
pub(crate) struct Failures(io::Result<()>);

impl Failures {
    pub(crate) fn none() -> Self {
        Self(Ok(()))
    }

    /// What came of something, if it did not fail.
    pub(crate) fn note<T>(&mut self, result: io::Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                if self.0.is_ok() {
                    self.0 = Err(error);
                }
                None
            }
        }
    }

    /// What is in a folder, as far as it can be listed.
    pub(crate) fn children(&mut self, folder: &Path) -> Vec<PathBuf> {
        self.note(children(folder)).unwrap_or_default()
    }

    pub(crate) fn beside<T>(self, kept: T) -> Pruned<T> {
        Pruned {
            kept,
            failed: self.0,
        }
    }
}

/// What is in a folder.
pub(crate) fn children(folder: &Path) -> io::Result<Vec<PathBuf>> {
    std::fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect()
}
