//! Errors on the wire: the one table from what went wrong to status, OCI code and headers.

use auth::Identity;
use http::header::{ALLOW, CONNECTION, CONTENT_RANGE, CONTENT_TYPE, RANGE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use oci::{ErrorBody, ErrorCode, OperationError};

use super::challenge::Challenge;
use super::{Body, RequestId};
use crate::Error;

mod refusal;
mod storage;

/// A reply that says what went wrong. 5xx say nothing of our insides: the log line of the same
/// request id does.
#[derive(Debug, Clone)]
pub struct Problem {
    pub(super) status: StatusCode,
    pub(super) code: ErrorCode,
    /// What the client reads.
    message: String,
    /// What the log says, of faults of ours the log alone.
    pub(super) cause: Option<String>,
    extra: Extra,
    is_denial: bool,
    /// Whose credential it was that is good no more: for the audit record.
    was: Option<Identity>,
}

/// The header that a status calls for.
#[derive(Debug, Clone)]
enum Extra {
    None,
    /// 401: the hall adds the challenge, which depends on the request.
    Challenge(Challenge),
    Allow(String),
    RetryAfter(u64),
    /// 416 on an upload: `Range` tells where to go on.
    Received(u64),
    /// 416 on content: how long it is (RFC 9110 §14.4).
    Size(u64),
    /// For whom the request was is not clear, so nothing more is read from the connection.
    Close,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            cause: None,
            extra: Extra::None,
            is_denial: false,
            was: None,
        }
    }

    /// 400: what was sent makes no sense.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorCode::Unsupported, message)
    }

    /// 404. Whether there is such a thing and the caller may not see it, the words must not tell.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, ErrorCode::NameUnknown, message)
    }

    /// 403 for a reason that is not in the rules.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, ErrorCode::Denied, message).denial()
    }

    /// 415: a body that says of itself that it is something else.
    pub fn not_json() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ErrorCode::Unsupported,
            "the body must be JSON: send Content-Type: application/json",
        )
    }

    /// 413: a body of more than `limit` bytes.
    pub fn too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::SizeInvalid,
            format!("the body has more than {limit} bytes"),
        )
    }

    /// 400: not one `Host` (RFC 9112 §3.2).
    pub(super) fn host_unclear() -> Self {
        let message = "a request of HTTP/1.1 has one Host header, this one has none or several";
        Self {
            extra: Extra::Close,
            ..Self::new(StatusCode::BAD_REQUEST, ErrorCode::Unsupported, message)
        }
    }

    /// 409: not while things are as they are.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, ErrorCode::Unsupported, message)
    }

    /// 412: it is no longer what the caller's `If-Match` names (RFC 9110 §13.1.1).
    pub fn changed(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            ErrorCode::Unsupported,
            message,
        )
    }

    /// 422: it makes sense, and what it names elsewhere is not to be had (RFC 9110 §15.5.21).
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            ErrorCode::Unsupported,
            message,
        )
    }

    /// 429: there is too much of what the message names, for these seconds at least.
    pub fn too_many_of(message: impl Into<String>, seconds: u64) -> Self {
        Self {
            extra: Extra::RetryAfter(seconds),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                ErrorCode::TooManyRequests,
                message,
            )
        }
    }

    /// 503: the client reads the message, the log the cause.
    pub fn unavailable(message: &str, cause: String) -> Self {
        Self::hidden(
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::Unavailable,
            message,
            cause,
        )
    }

    /// 405 with what is allowed.
    pub fn method_not_allowed(methods: &str) -> Self {
        Self {
            extra: Extra::Allow(methods.to_owned()),
            ..Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                ErrorCode::Unsupported,
                format!("use one of: {methods}"),
            )
        }
    }

    /// 429 with the seconds to wait.
    pub(super) fn too_many(seconds: u64) -> Self {
        let message = format!("the server is busy, try again in {seconds} s");
        Self::too_many_of(message, seconds)
    }

    /// 416: the content has `size` bytes.
    pub(super) fn unsatisfiable(size: u64) -> Self {
        Self {
            extra: Extra::Size(size),
            ..Self::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                ErrorCode::RangeInvalid,
                format!("the range lies outside the content's {size} bytes"),
            )
        }
    }

    /// Whether somebody was refused: not what a request that may be done came to.
    pub(super) fn is_denial(&self) -> bool {
        self.is_denial
    }

    /// Whose credential it was that is good no more.
    pub(super) fn was(&self) -> Option<&Identity> {
        self.was.as_ref()
    }

    /// What the client reads.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// The same, as a refusal.
    fn denial(self) -> Self {
        Self {
            is_denial: true,
            ..self
        }
    }

    /// The challenge that the reply must carry, if it is a 401.
    pub(super) fn challenge(&self) -> Option<Challenge> {
        match self.extra {
            Extra::Challenge(challenge) => Some(challenge),
            _ => None,
        }
    }

    /// 500: a fault of ours.
    pub fn internal(error: &dyn std::error::Error) -> Self {
        Self::hidden(
            StatusCode::INTERNAL_SERVER_ERROR,
            ErrorCode::Unknown,
            "internal error",
            causes(error),
        )
    }

    /// 500: something that is kept cannot be read; the words say what, and nothing that stands in it.
    pub fn unreadable(message: String) -> Self {
        Self::hidden(
            StatusCode::INTERNAL_SERVER_ERROR,
            ErrorCode::Unknown,
            &message.clone(),
            message,
        )
    }

    pub(super) fn hidden(
        status: StatusCode,
        code: ErrorCode,
        message: &str,
        cause: String,
    ) -> Self {
        Self {
            cause: Some(cause),
            ..Self::new(status, code, message)
        }
    }

    /// The reply: the OCI error body of distribution-spec §Error Codes, with the request id.
    pub(super) fn into_oci(self, id: RequestId) -> Response<Body> {
        let detail = serde_json::json!({ "requestId": id.to_string() });
        let body = ErrorBody::new(self.code, &*self.message, detail).to_json();
        self.reply(body, "application/json")
    }

    /// The reply as other APIs have it: problem details (RFC 9457), with the request id.
    pub(super) fn into_details(self, id: RequestId) -> Response<Body> {
        let body = serde_json::json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or_default(),
            "status": self.status.as_u16(),
            "detail": self.message,
            "requestId": id.to_string(),
        });
        self.reply(body.to_string(), "application/problem+json")
    }

    fn reply(self, body: String, kind: &'static str) -> Response<Body> {
        let mut response = Response::new(Body::full(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        let (name, value) = match self.extra {
            Extra::None | Extra::Challenge(_) => return response,
            Extra::Allow(methods) => (ALLOW, HeaderValue::try_from(methods)),
            Extra::RetryAfter(seconds) => (RETRY_AFTER, Ok(HeaderValue::from(seconds))),
            Extra::Received(bytes) => (RANGE, Ok(super::reply::received(bytes))),
            Extra::Close => (CONNECTION, Ok(HeaderValue::from_static("close"))),
            Extra::Size(size) => (
                CONTENT_RANGE,
                HeaderValue::try_from(format!("bytes */{size}")),
            ),
        };
        if let Ok(value) = value {
            headers.insert(name, value);
        }
        response
    }
}

impl From<OperationError> for Problem {
    fn from(error: OperationError) -> Self {
        let extra = error
            .allow()
            .map_or(Extra::None, |methods| Extra::Allow(methods.to_owned()));
        Self {
            extra,
            ..Self::new(error.status(), error.code(), error.to_string())
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let (status, code) = match error {
            Error::Refused(refusal) => return refusal.into(),
            Error::Upload(error) => return error.into(),
            Error::Storage(error) => return error.into(),
            Error::BlobUnknown(..) => (StatusCode::NOT_FOUND, ErrorCode::BlobUnknown),
            Error::BlobInUse(..) => (StatusCode::CONFLICT, ErrorCode::Unsupported),
            Error::ManifestUnknown(..) => (StatusCode::NOT_FOUND, ErrorCode::ManifestUnknown),
            Error::NameUnknown(_) => (StatusCode::NOT_FOUND, ErrorCode::NameUnknown),
            Error::PositionUnknown => (StatusCode::BAD_REQUEST, ErrorCode::PaginationNumberInvalid),
            Error::ManifestInvalid(error) => (error.status(), error.code()),
            Error::ManifestBlobsUnknown(_) => {
                (StatusCode::NOT_FOUND, ErrorCode::ManifestBlobUnknown)
            }
            Error::TagExists(_) | Error::OtherMediaType(_) => {
                return Self::new(StatusCode::FORBIDDEN, ErrorCode::Denied, message).denial();
            }
        };
        Self::new(status, code, message)
    }
}

/// An error with all that caused it, for the log.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
