//! The file tree that a process sees.

use std::path::PathBuf;

/// Where a run's root comes from. One run at a time has it: mount points are made in it and removed again. Files belong to the numbers of the [`SandboxIds`](super::SandboxIds) that the run has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// A folder, prepared or mounted by the caller, that is written to.
    Folder(PathBuf),
    /// An overlay that is mounted in the run's own mount namespace, so that it cannot outlive it.
    Overlay {
        /// Folders that are only read, the topmost first.
        lower: Vec<PathBuf>,
        /// What the run writes.
        upper: PathBuf,
        /// overlayfs' own, empty, on `upper`'s file system. The mark that syncs were not waited for (`work/incompat` in it) is to be
        /// removed before the next run.
        work: PathBuf,
    },
}

impl Root {
    /// Whether an overlay's paths are short and plain enough for one page of options: about twenty layers are. A folder always
    /// fits.
    pub fn fits(&self) -> bool {
        match self {
            Self::Folder(_) => true,
            Self::Overlay { lower, upper, work } => super::view::fits(lower, upper, work),
        }
    }

    /// The folder that the run's writes end up in.
    pub(super) fn writable(&self) -> &std::path::Path {
        match self {
            Self::Folder(path) | Self::Overlay { upper: path, .. } => path,
        }
    }
}
