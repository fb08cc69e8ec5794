//! Why a body is refused as a manifest.

use http::StatusCode;

use super::{MAX_DEPTH, MAX_DESCRIPTORS, MAX_MANIFEST_BYTES, MAX_VALUES};
use crate::{Digest, ErrorCode, MediaType};

/// What is wrong with a manifest, and where. Nothing of it was kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidManifest {
    /// Longer than any manifest may be.
    #[error("the manifest is over {MAX_MANIFEST_BYTES} bytes: put what is large into a blob")]
    TooLarge,
    /// The digest it is pushed under is not its own.
    #[error(
        "the manifest's digest is {actual}, not the one given: it was changed on the way, or is another"
    )]
    DigestMismatch {
        /// What the body has.
        actual: Digest,
    },
    /// Neither header nor body says what it is.
    #[error("the manifest has no media type: send it as Content-Type")]
    NoMediaType,
    /// Header and body say two things.
    #[error(
        "the manifest's mediaType is {body}, but its Content-Type is {header}: send the same in both"
    )]
    MediaTypeMismatch {
        /// The `mediaType` field.
        body: String,
        /// The `Content-Type` header.
        header: MediaType,
    },
    /// Docker schema 1.
    #[error(
        "Docker manifests of schema 1 are not accepted: push with a client of Docker 1.10 (2016) or later, \
         or convert with `skopeo copy --format oci`"
    )]
    Schema1,
    /// No JSON, or not plain JSON.
    #[error("the manifest is not JSON: {0}")]
    Json(String),
    /// It nests deeper than any manifest needs to.
    #[error("the manifest nests deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// It names more than any manifest needs to.
    #[error("the manifest has more than {MAX_DESCRIPTORS} descriptors")]
    TooManyDescriptors,
    /// It holds more than any manifest needs to.
    #[error("the manifest has more than {MAX_VALUES} values")]
    TooManyValues,
    /// Two readers could take it for two things.
    #[error("the manifest is ambiguous: {0}")]
    Ambiguous(String),
    /// A field is missing or is not what its media type says.
    #[error("{at}: {reason}")]
    Field {
        /// Where, as `layers[3]`.
        at: String,
        /// What is wrong there.
        reason: String,
    },
}

impl InvalidManifest {
    /// The code for the error body.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::TooLarge => ErrorCode::SizeInvalid,
            Self::DigestMismatch { .. } => ErrorCode::DigestInvalid,
            _ => ErrorCode::ManifestInvalid,
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            _ => self.code().status(),
        }
    }
}
