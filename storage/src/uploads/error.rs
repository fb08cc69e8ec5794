//! Why an upload does not go on.

use oci::Digest;

use crate::{BodyError, StorageError};

/// Why an upload did not go on. Unless it says otherwise, the session is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// There is no such session: never was, is finished, or belongs to somebody else.
    #[error("no such upload: start a new one")]
    Unknown,
    /// The chunk does not begin where the upload stands.
    #[error("the upload has {have} bytes: go on from there")]
    OutOfOrder {
        /// Bytes received so far.
        have: u64,
    },
    /// The owner has too many sessions open to start another.
    #[error("you have {limit} uploads open: finish or cancel some, or wait until they expire")]
    TooMany {
        /// How many one owner may have.
        limit: usize,
    },
    /// Another request works on the session.
    #[error("another request works on this upload: try again when it is done")]
    Busy,
    /// The bytes are not what the digest says. The session stays, to be finished with the right
    /// digest or cancelled.
    #[error("the bytes have the digest {got}")]
    DigestMismatch {
        /// What they are.
        got: Digest,
    },
    /// More or fewer bytes came than were announced. None of this chunk is taken.
    #[error("the body is not the {announced} bytes that were announced")]
    SizeMismatch {
        /// By `Content-Range` or `Content-Length`.
        announced: u64,
    },
    /// The blob is larger than this registry takes.
    #[error("a blob may have at most {limit} bytes")]
    TooLarge {
        /// Bytes.
        limit: u64,
    },
    /// The body broke off. What came is kept: ask for the upload's status and go on from there.
    #[error(transparent)]
    Body(BodyError),
    /// Storage does not answer. As much of the chunk counts as the upload's status says.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
