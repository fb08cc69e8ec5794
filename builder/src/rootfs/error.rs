//! Why a layer was not unpacked, by what can be done about it.

use std::io;

use oci::Digest;

use crate::archive::ArchiveError;
use crate::room::NoRoom;
use crate::tree::TreePath;

/// A layer that was not unpacked. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// Whoever asked for it no longer wants it.
    #[error("cancelled")]
    Cancelled,
    /// The bytes are not those of the layer that was asked for: the image or its configuration is damaged or lies.
    #[error(
        "the layer's content is {found}, and {expected} is what the image's configuration names"
    )]
    WrongContent {
        /// The diffID that was asked for.
        expected: Box<Digest>,
        /// That of the bytes that came.
        found: Box<Digest>,
    },
    /// The layer is no archive, or holds what is not taken: use another base image.
    #[error("the layer is refused: {0}")]
    Refused(String),
    /// It is larger than the limits allow: raise them, or use another base image.
    #[error("the layer is refused: {0}")]
    TooLarge(String),
    /// The disk is nearly full: see to it.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// The layer's bytes could not be read to their end: try again.
    #[error("reading the layer: {0}")]
    Source(#[source] io::Error),
    /// This machine's disk, or its rights, did not allow it: see to those.
    #[error("{path}: {source}")]
    Disk {
        /// What in the layer, or which folder of the store.
        path: String,
        /// What the system says.
        source: io::Error,
    },
}

/// Behind a path that is one of the layer, and not of this machine.
pub(super) const OF_THE_LAYER: &str = " of the layer";

impl UnpackError {
    /// A refusal of one entry.
    pub(super) fn refused(path: &TreePath, why: impl std::fmt::Display) -> Self {
        Self::Refused(format!("{path}: {why}"))
    }

    /// A failed call about one entry.
    pub(super) fn disk(path: &TreePath, error: impl Into<io::Error>) -> Self {
        Self::Disk {
            path: format!("{path}{OF_THE_LAYER}"),
            source: error.into(),
        }
    }
}

impl From<ArchiveError> for UnpackError {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Malformed { .. } => Self::Refused(error.to_string()),
            ArchiveError::Source(error) => Self::from_reading(error),
        }
    }
}

impl UnpackError {
    /// What a failed read means. The readers around the source carry their own errors through `io::Error`.
    pub(super) fn from_reading(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(own) => own,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Self::Refused("it ends in the middle".to_owned())
            }
            Err(error) => Self::Refused(format!("it cannot be decompressed: {error}")),
        }
    }
}
