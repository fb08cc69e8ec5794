//! What storage says, on the wire.

use ::storage::{StorageError, UploadError};
use http::StatusCode;
use oci::ErrorCode;

use super::{Extra, Problem, causes};

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        let cause = causes(&error);
        let (status, message) = match error {
            StorageError::Full => (
                StatusCode::INSUFFICIENT_STORAGE,
                "storage is full: nothing was stored",
            ),
            StorageError::ReadOnly => (
                StatusCode::SERVICE_UNAVAILABLE,
                "storage takes no writes after a failed sync; content is still served",
            ),
            StorageError::Unavailable(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "storage cannot answer at the moment, try again",
            ),
            StorageError::Corrupt { .. } => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "the stored content is damaged and is not served; pushing it again mends it",
            ),
        };
        let code = match status {
            StatusCode::INTERNAL_SERVER_ERROR => ErrorCode::Unknown,
            _ => ErrorCode::Unavailable,
        };
        Self::hidden(status, code, message, cause)
    }
}

impl From<UploadError> for Problem {
    fn from(error: UploadError) -> Self {
        let message = error.to_string();
        match error {
            UploadError::Unknown => {
                Self::new(StatusCode::NOT_FOUND, ErrorCode::BlobUploadUnknown, message)
            }
            UploadError::OutOfOrder { have } => Self {
                extra: Extra::Received(have),
                ..Self::new(
                    StatusCode::RANGE_NOT_SATISFIABLE,
                    ErrorCode::BlobUploadInvalid,
                    message,
                )
            },
            UploadError::TooMany { .. } => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                ErrorCode::TooManyRequests,
                message,
            ),
            UploadError::Busy => {
                Self::new(StatusCode::CONFLICT, ErrorCode::BlobUploadInvalid, message)
            }
            UploadError::DigestMismatch { .. } => {
                Self::new(StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid, message)
            }
            UploadError::SizeMismatch { .. } => {
                Self::new(StatusCode::BAD_REQUEST, ErrorCode::SizeInvalid, message)
            }
            UploadError::TooLarge { .. } => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                ErrorCode::SizeInvalid,
                message,
            ),
            UploadError::Body(_) => Self::new(
                StatusCode::BAD_REQUEST,
                ErrorCode::BlobUploadInvalid,
                message,
            ),
            UploadError::Storage(error) => error.into(),
        }
    }
}
