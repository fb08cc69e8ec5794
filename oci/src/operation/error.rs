//! Why a request is none of the operations.

use http::StatusCode;

use crate::page::InvalidPage;
use crate::{ErrorCode, InvalidDigest, InvalidName, InvalidTag, InvalidUploadId};

/// A request that is refused for its words alone: before anyone asks who sent it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperationError {
    /// No endpoint has this path.
    #[error(
        "there is no such endpoint: see the OCI Distribution Specification for those under /v2/"
    )]
    NotFound,
    /// The endpoint exists, but not for this method.
    #[error("this endpoint answers only {allow}")]
    MethodNotAllowed {
        /// What to send as `Allow`.
        allow: &'static str,
    },
    /// The path has a form that two readers could understand in two ways.
    #[error("malformed path: {0}")]
    Path(&'static str),
    /// The repository is none.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// `from` is no repository.
    #[error("from: {0}")]
    From(InvalidName),
    /// The tag of a manifest to be put is none.
    #[error(transparent)]
    Tag(#[from] InvalidTag),
    /// The tag of a manifest to be read or deleted is none, so there is no such manifest.
    #[error("no such manifest: {0}")]
    ManifestUnknown(InvalidTag),
    /// There can be no such upload.
    #[error(transparent)]
    Upload(#[from] InvalidUploadId),
    /// The digest in the path is none.
    #[error(transparent)]
    Digest(#[from] InvalidDigest),
    /// A digest or algorithm in the query is none.
    #[error("{parameter}: {reason}")]
    DigestParameter {
        /// `digest`, `mount` or `digest-algorithm`.
        parameter: &'static str,
        /// What is wrong with it.
        reason: InvalidDigest,
    },
    /// The last request of an upload does not say what the whole must be.
    #[error("the query parameter digest is missing: PUT …/blobs/uploads/<id>?digest=sha256:…")]
    DigestMissing,
    /// `n` or `last` is no good.
    #[error(transparent)]
    Page(#[from] InvalidPage),
    /// More `tag` parameters than one request may have.
    #[error(
        "too many tag parameters: at most {} in one request",
        super::MAX_TAG_PARAMETERS
    )]
    TooManyTags,
    /// A parameter that has one meaning is given twice.
    #[error("the query parameter {parameter} is given twice")]
    Duplicate {
        /// Its name.
        parameter: &'static str,
    },
    /// The query cannot be decoded, or a value cannot be meant.
    #[error("malformed query: {0}")]
    Query(&'static str),
}

impl OperationError {
    /// The code for the error body.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotFound
            | Self::MethodNotAllowed { .. }
            | Self::Duplicate { .. }
            | Self::Query(_) => ErrorCode::Unsupported,
            Self::Path(_) | Self::Name(_) | Self::From(_) => ErrorCode::NameInvalid,
            Self::Tag(_) | Self::TooManyTags => ErrorCode::TagInvalid,
            Self::ManifestUnknown(_) => ErrorCode::ManifestUnknown,
            Self::Upload(_) => ErrorCode::BlobUploadUnknown,
            Self::Digest(_) | Self::DigestParameter { .. } | Self::DigestMissing => {
                ErrorCode::DigestInvalid
            }
            Self::Page(_) => ErrorCode::PaginationNumberInvalid,
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::TooManyTags => StatusCode::URI_TOO_LONG,
            Self::Duplicate { .. } | Self::Query(_) => StatusCode::BAD_REQUEST,
            _ => self.code().status(),
        }
    }

    /// What to send as `Allow`, with 405.
    pub fn allow(&self) -> Option<&'static str> {
        match self {
            Self::MethodNotAllowed { allow } => Some(allow),
            _ => None,
        }
    }
}
