//! How much may be made.

use std::sync::Arc;

use crate::rootfs::UnpackError;
use crate::rootfs::limits::Left;
use crate::tree::TreePath;

/// What is left of the bounds of an archive.
pub(super) struct Bounds {
    /// How many files and directories may still be made.
    left: Arc<Left>,
    /// How many were made.
    pub(super) made: u64,
    /// How many bytes of directories' paths may still be remembered: one entry can name two thousand.
    memory: usize,
}

impl Bounds {
    pub(super) fn new(left: Arc<Left>) -> Self {
        Self {
            left,
            made: 0,
            memory: MEMORY,
        }
    }

    /// A directory's path is to be remembered.
    pub(super) fn remember(&mut self, path: &TreePath) -> Result<(), UnpackError> {
        let Some(left) = self.memory.checked_sub(path.as_bytes().len()) else {
            let text = format!("{path}: the paths of its directories are over 64 MiB");
            return Err(UnpackError::TooLarge(text));
        };
        self.memory = left;
        Ok(())
    }

    /// A file or directory is to be made.
    pub(super) fn count(&mut self, path: &TreePath) -> Result<(), UnpackError> {
        if !self.left.take(1) {
            let text = format!("{path}: there are more entries than the limit allows");
            return Err(UnpackError::TooLarge(text));
        }
        self.made += 1;
        Ok(())
    }
}

const MEMORY: usize = 64 << 20;
