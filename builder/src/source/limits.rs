//! How much of a source is taken.

use std::time::Duration;

/// Bounds on what a stranger's source may make this machine do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceLimits {
    /// Files, folders and links.
    pub entries: usize,
    /// All files' content together, in bytes.
    pub bytes: u64,
    /// What a fetch may store, compressed and with history as far as it is wanted, in bytes.
    pub fetched_bytes: u64,
    /// How long getting it may take, waiting for another run's fetch of the same repository included.
    pub time: Duration,
    /// Submodules, those within submodules counted.
    pub submodules: usize,
}

impl SourceLimits {
    /// Paths and links' targets together, in bytes. Names are in memory all at once, so many entries must have short ones;
    /// few may have long ones.
    pub(crate) fn names(&self) -> u64 {
        (NAME * self.entries as u64).max(1 << 20)
    }
}

/// What the path of an entry may have on average.
const NAME: u64 = 128;

impl Default for SourceLimits {
    fn default() -> Self {
        Self {
            entries: 500_000,
            bytes: 8 << 30,
            fetched_bytes: 4 << 30,
            time: Duration::from_secs(600),
            submodules: 100,
        }
    }
}
