//! What can go wrong in a deed, by what the caller can do about it.

use auth::Refusal;
use oci::{Digest, InvalidManifest, MediaType, Reference, RepoName, Tag};
use storage::{PutError, StorageError, UploadError};

/// Why a deed was not done. [`crate::http`] alone turns it into a status and an OCI error body.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller may not do this, or is not known.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The repository holds no such blob.
    #[error("blob {1} is not in repository {0}")]
    BlobUnknown(RepoName, Digest),
    /// The blob is part of a manifest of this repository; delete that first.
    #[error("blob {1} is used by a manifest of repository {0}: delete the manifest first")]
    BlobInUse(RepoName, Digest),
    /// The repository holds no such manifest or tag.
    #[error("{} is not in repository {}", Named(.1), .0)]
    ManifestUnknown(RepoName, Reference),
    /// No repository of that name.
    #[error("repository {0} does not exist")]
    NameUnknown(RepoName),
    /// `last` was made for somebody else, or with a key that is gone.
    #[error(
        "last: this position of the list is not known here any more: begin the list again, without \"last\""
    )]
    PositionUnknown,
    /// The manifest's bytes break a rule of its format.
    #[error(transparent)]
    ManifestInvalid(#[from] InvalidManifest),
    /// The manifest names blobs that were not pushed to this repository.
    #[error("push these blobs to the repository first: {}", Listed(.0))]
    ManifestBlobsUnknown(Vec<Digest>),
    /// The tag points to other content, and the caller may create tags but not move them.
    #[error("tag {0} exists, and moving it takes the verb \"update\", which you do not have")]
    TagExists(Tag),
    /// The manifest's bytes are known as this media type, and the caller may not change what tags serve.
    #[error(
        "the manifest is in this repository as {0}, and changing that takes the verb \"update\", which you do not have"
    )]
    OtherMediaType(MediaType),
    /// The upload session failed; the session's own words say how.
    #[error(transparent)]
    Upload(UploadError),
    /// Storage could not answer.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<UploadError> for Error {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Storage(error) => Self::Storage(error),
            error => Self::Upload(error),
        }
    }
}

impl From<PutError> for Error {
    fn from(error: PutError) -> Self {
        match error {
            PutError::MissingBlobs(digests) => Self::ManifestBlobsUnknown(digests),
            PutError::TagExists(tag) => Self::TagExists(tag),
            PutError::OtherType(known) => Self::OtherMediaType(known),
            PutError::Storage(error) => Self::Storage(error),
        }
    }
}

struct Named<'a>(&'a Reference);

impl std::fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Reference::Tag(tag) => write!(f, "tag {tag}"),
            Reference::Digest(digest) => write!(f, "manifest {digest}"),
        }
    }
}

struct Listed<'a>(&'a [Digest]);

impl std::fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, digest) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            write!(f, "{separator}{digest}")?;
        }
        Ok(())
    }
}
