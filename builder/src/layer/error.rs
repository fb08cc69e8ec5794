//! Why a layer was not made, by what can be done about it.

use std::io;

use crate::tree::TreePath;

/// A layer that was not made. What went to the sink is no layer.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Whoever asked for it no longer wants it.
    #[error("cancelled")]
    Cancelled,
    /// The build left something that no layer can say: the build must be changed.
    #[error("{path}: {why}")]
    Refused {
        /// What it is about.
        path: TreePath,
        /// What is wrong with it.
        why: String,
    },
    /// The build left more than the limit allows.
    #[error("the layer is over {limit} bytes, the limit")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// A file could not be read.
    #[error("{path}: {source}")]
    Read {
        /// Which.
        path: TreePath,
        /// What the system says.
        source: io::Error,
    },
    /// Whoever takes the layer failed.
    #[error("writing the layer: {0}")]
    Sink(#[source] io::Error),
}

impl ExportError {
    pub(super) fn refused(path: &TreePath, why: impl std::fmt::Display) -> Self {
        Self::Refused {
            path: path.clone(),
            why: why.to_string(),
        }
    }

    pub(super) fn read(path: &TreePath, error: impl Into<io::Error>) -> Self {
        Self::Read {
            path: path.clone(),
            source: error.into(),
        }
    }
}
