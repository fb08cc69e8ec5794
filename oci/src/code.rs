//! The error codes of the protocol and the body that carries them.

use std::fmt;

use http::StatusCode;
use serde::Serialize;
use serde_json::Value;

#[cfg(test)]
mod tests;

/// A code of distribution-spec, "Error Codes", or one of the few that Distribution added and clients know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorCode {
    /// The blob is not in this repository.
    BlobUnknown,
    /// The upload cannot be finished or continued as asked.
    BlobUploadInvalid,
    /// There is no such upload.
    BlobUploadUnknown,
    /// The digest is no digest, or not the content's.
    DigestInvalid,
    /// A manifest names a blob or manifest that is not in the repository.
    ManifestBlobUnknown,
    /// The manifest is not one, or not the one its headers say.
    ManifestInvalid,
    /// There is no such manifest.
    ManifestUnknown,
    /// The repository's name is no name.
    NameInvalid,
    /// There is no such repository.
    NameUnknown,
    /// The length of the content is not as announced, or too great.
    SizeInvalid,
    /// Who are you?
    Unauthorized,
    /// Not you.
    Denied,
    /// The registry does not do this.
    Unsupported,
    /// Too many requests: wait, then try again.
    TooManyRequests,
    /// `n` is no number (of Distribution).
    PaginationNumberInvalid,
    /// The tag is no tag (of Distribution).
    TagInvalid,
    /// The range is not there, or not the next one (of Distribution).
    RangeInvalid,
    /// Something the registry needs does not answer: try again (of Distribution).
    Unavailable,
    /// The registry failed (of Distribution).
    Unknown,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 19] = [
        Self::BlobUnknown,
        Self::BlobUploadInvalid,
        Self::BlobUploadUnknown,
        Self::DigestInvalid,
        Self::ManifestBlobUnknown,
        Self::ManifestInvalid,
        Self::ManifestUnknown,
        Self::NameInvalid,
        Self::NameUnknown,
        Self::SizeInvalid,
        Self::Unauthorized,
        Self::Denied,
        Self::Unsupported,
        Self::TooManyRequests,
        Self::PaginationNumberInvalid,
        Self::TagInvalid,
        Self::RangeInvalid,
        Self::Unavailable,
        Self::Unknown,
    ];

    /// The code as clients read it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BlobUnknown => "BLOB_UNKNOWN",
            Self::BlobUploadInvalid => "BLOB_UPLOAD_INVALID",
            Self::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::ManifestBlobUnknown => "MANIFEST_BLOB_UNKNOWN",
            Self::ManifestInvalid => "MANIFEST_INVALID",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::NameInvalid => "NAME_INVALID",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::SizeInvalid => "SIZE_INVALID",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Denied => "DENIED",
            Self::Unsupported => "UNSUPPORTED",
            Self::TooManyRequests => "TOOMANYREQUESTS",
            Self::PaginationNumberInvalid => "PAGINATION_NUMBER_INVALID",
            Self::TagInvalid => "TAG_INVALID",
            Self::RangeInvalid => "RANGE_INVALID",
            Self::Unavailable => "UNAVAILABLE",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// What to say when there is nothing more exact to say.
    pub const fn default_message(self) -> &'static str {
        match self {
            Self::BlobUnknown => "blob unknown to registry",
            Self::BlobUploadInvalid => "blob upload invalid",
            Self::BlobUploadUnknown => "blob upload unknown to registry",
            Self::DigestInvalid => "provided digest did not match uploaded content",
            Self::ManifestBlobUnknown => {
                "manifest references a manifest or blob unknown to registry"
            }
            Self::ManifestInvalid => "manifest invalid",
            Self::ManifestUnknown => "manifest unknown to registry",
            Self::NameInvalid => "invalid repository name",
            Self::NameUnknown => "repository name not known to registry",
            Self::SizeInvalid => "provided length did not match content length",
            Self::Unauthorized => "authentication required",
            Self::Denied => "requested access to the resource is denied",
            Self::Unsupported => "the operation is unsupported",
            Self::TooManyRequests => "too many requests",
            Self::PaginationNumberInvalid => "invalid number of results requested",
            Self::TagInvalid => "manifest tag invalid",
            Self::RangeInvalid => "invalid content range",
            Self::Unavailable => "service unavailable",
            Self::Unknown => "internal error",
        }
    }

    /// The HTTP status that goes with the code when the situation does not ask for another.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::BlobUnknown
            | Self::BlobUploadUnknown
            | Self::ManifestUnknown
            | Self::NameUnknown => StatusCode::NOT_FOUND,
            Self::BlobUploadInvalid
            | Self::DigestInvalid
            | Self::ManifestBlobUnknown
            | Self::ManifestInvalid
            | Self::NameInvalid
            | Self::SizeInvalid
            | Self::PaginationNumberInvalid
            | Self::TagInvalid => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Denied => StatusCode::FORBIDDEN,
            Self::Unsupported => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::RangeInvalid => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unknown => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The body of every error reply (distribution-spec, "Error Codes"):
/// `{"errors":[{"code","message","detail"}]}`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ErrorBody {
    errors: [Entry; 1],
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Entry {
    code: ErrorCode,
    message: String,
    #[serde(skip_serializing_if = "Value::is_null")]
    detail: Value,
}

impl ErrorBody {
    /// A body with one error; a `detail` of `null` is left out.
    pub fn new(code: ErrorCode, message: impl Into<String>, detail: Value) -> Self {
        let message = message.into();
        Self {
            errors: [Entry {
                code,
                message,
                detail,
            }],
        }
    }

    /// The JSON text.
    ///
    /// # Panics
    ///
    /// Never: strings and JSON values always serialise.
    #[expect(
        clippy::expect_used,
        reason = "strings and JSON values always serialise"
    )]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("an error body is JSON")
    }
}

/// The code with its default message.
impl From<ErrorCode> for ErrorBody {
    fn from(code: ErrorCode) -> Self {
        Self::new(code, code.default_message(), Value::Null)
    }
}
