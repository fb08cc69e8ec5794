//! What becomes of those who are refused.

use auth::Refusal;
use http::StatusCode;
use oci::ErrorCode;

use super::{Challenge, Extra, Problem};

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unavailable { .. } => Self::of(refusal),
            _ => Self::of(refusal).denial(),
        }
    }
}

impl Problem {
    fn of(refusal: Refusal) -> Self {
        let unauthorized = |challenge, message: &str| Self {
            extra: Extra::Challenge(challenge),
            ..Self::new(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, message)
        };
        match refusal {
            Refusal::Anonymous => unauthorized(Challenge::Missing, "authentication required"),
            Refusal::BadCredential => {
                unauthorized(Challenge::Invalid, "these credentials are not valid")
            }
            Refusal::SpentToken(spent) => Self {
                was: Some(spent.who().clone()),
                ..unauthorized(Challenge::Invalid, &spent.to_string())
            },
            Refusal::MistypedToken => unauthorized(Challenge::Invalid, &refusal.to_string()),
            // Strangers hold tokens, too, and get the same bytes whatever they asked for.
            Refusal::InsufficientScope(denied) if denied.who().is_anonymous() => unauthorized(
                Challenge::InsufficientScope,
                "the token does not grant this; ask for one that does",
            ),
            Refusal::InsufficientScope(denied) => Self {
                cause: Some(denied.to_string()),
                ..unauthorized(Challenge::InsufficientScope, &denied.to_string())
            },
            Refusal::Forbidden(denied) => Self {
                cause: Some(denied.to_string()),
                ..Self::new(StatusCode::FORBIDDEN, ErrorCode::Denied, denied.to_string())
            },
            Refusal::NoTokens => Self::new(
                StatusCode::FORBIDDEN,
                ErrorCode::Denied,
                refusal.to_string(),
            ),
            Refusal::Throttled { retry_after } => Self::too_many(retry_after.as_secs().max(1)),
            Refusal::Unavailable {
                because,
                retry_after,
            } => Self {
                extra: Extra::RetryAfter(retry_after.as_secs().max(1)),
                ..Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    ErrorCode::Unavailable,
                    format!("rights cannot be checked at the moment: {because}; try again"),
                )
            },
        }
    }
}
