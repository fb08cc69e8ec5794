//! Why a request does not get through.

use std::time::Duration;

/// Why a request does not get through, by what the caller does next. None of them says whether the thing asked for
/// exists.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nobody is named, and a stranger may not: 401 with a challenge.
    #[error("authentication required")]
    Anonymous,
    /// The credential is malformed, unknown, wrong or expired: 401 with a challenge.
    #[error("the credentials are not valid")]
    BadCredential,
    /// The identity may not do this: 403.
    #[error("access denied")]
    Forbidden,
    /// The token is valid, but was not issued for this: 401 with a challenge that names the scope.
    #[error("the token was not issued for this")]
    InsufficientScope,
    /// Too many wrong passwords: 429.
    #[error("too many failed attempts")]
    Throttled {
        /// How long to wait.
        retry_after: Duration,
    },
    /// Who or what decides cannot be reached, or is too busy: 503.
    #[error("authentication is not available at the moment")]
    Unavailable {
        /// How long to wait.
        retry_after: Duration,
    },
}
