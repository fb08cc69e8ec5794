//! Why a request does not get through.

use std::fmt;
use std::time::Duration;

use oci::RepoName;

use crate::opaque::End;
use crate::{Action, Deed, Identity, Right, TokenId};

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
    /// It looks like an API token, but none was ever given out like this: 401 with a challenge.
    #[error("this token is mistyped or cut short")]
    MistypedToken,
    /// It was a token, and is none any more; whose it was, only who has its text is told: 401 with a challenge.
    #[error("{0}")]
    SpentToken(SpentToken),
    /// The identity may not do this: 403.
    #[error("{0}")]
    Forbidden(Denied),
    /// The token is valid, but was not issued for this: 401 with a challenge that names the scope.
    #[error("the token was not issued for this: {0}")]
    InsufficientScope(Denied),
    /// No tokens are issued here: 403.
    #[error("no tokens are issued here, send user and password with each request")]
    NoTokens,
    /// Too many wrong passwords: 429.
    #[error("too many failed attempts")]
    Throttled {
        /// How long to wait.
        retry_after: Duration,
    },
    /// Who or what decides cannot be reached, or is too busy: 503.
    #[error("rights cannot be checked at the moment: {because}")]
    Unavailable {
        /// What is amiss.
        because: Outage,
        /// How long to wait.
        retry_after: Duration,
    },
}

/// Why nobody decides, in words for whoever waits: without addresses, which are the operator's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Outage {
    /// The cluster.
    #[error("the Kubernetes API server does not answer")]
    Cluster,
    /// The provider of OpenID Connect, or it has a key that is not known here yet.
    #[error("the keys of the identity provider are not known yet")]
    Provider,
    /// More ask at once than can be answered.
    #[error("too many ask at once")]
    Busy,
    /// This server itself.
    #[error("the registry cannot read what it needs for it")]
    Registry,
}

/// A token that has ended or was revoked.
#[derive(Clone, PartialEq, Eq)]
pub struct SpentToken {
    who: Identity,
    end: End,
}

impl SpentToken {
    pub(crate) fn new(who: &Identity, end: End) -> Self {
        let who = who.clone();
        Self { who, end }
    }

    /// Whose it was, by that token.
    pub fn who(&self) -> &Identity {
        &self.who
    }
}

impl fmt::Display for SpentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.who.token().map_or("", TokenId::as_str);
        write!(f, "token {id} of user {:?} ", self.who.name())?;
        match self.end {
            End::Ended(at) => write!(f, "ended at {}", humantime::format_rfc3339_seconds(at)),
            End::Revoked(at) => {
                write!(
                    f,
                    "was revoked at {}",
                    humantime::format_rfc3339_seconds(at)
                )
            }
        }
    }
}

impl fmt::Debug for SpentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpentToken({self})")
    }
}

/// What was refused, and to whom: as the caller asked for it, so that it tells nothing that the caller did not know.
#[derive(Clone, PartialEq, Eq)]
pub struct Denied {
    who: Identity,
    what: Deed,
    lack: Lack,
}

/// What is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lack {
    /// The user's right.
    Right,
    /// The API token is limited to less, whatever its user may do.
    Limits,
    /// The issued token was asked for less, whatever its user may do.
    Asked,
}

impl Denied {
    pub(crate) fn new(lack: Lack, who: &Identity, action: Action, repo: &RepoName) -> Self {
        Self {
            who: who.clone(),
            what: Deed::Repository(action, repo.clone()),
            lack,
        }
    }

    pub(crate) fn right(lack: Lack, who: &Identity, right: Right, namespace: Option<&str>) -> Self {
        Self {
            who: who.clone(),
            what: Deed::Registry(right, namespace.map(str::to_owned)),
            lack,
        }
    }

    /// Who asked.
    pub fn who(&self) -> &Identity {
        &self.who
    }

    /// The verb of what they asked to do.
    pub fn verb(&self) -> &'static str {
        self.what.verb()
    }

    /// Where; `None` when it was about the registry as a whole.
    pub fn repo(&self) -> Option<&RepoName> {
        match &self.what {
            Deed::Repository(_, repo) => Some(repo),
            Deed::Registry(..) => None,
        }
    }
}

/// In the words of Kubernetes: user, verb, resource, namespace.
impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user {:?} may not {}", self.who.name(), self.what)?;
        match self.lack {
            Lack::Right => Ok(()),
            Lack::Limits => {
                let id = self.who.token().map_or("", TokenId::as_str);
                write!(f, " by this token ({id}), which was not made for it")
            }
            Lack::Asked => f.write_str(" by this token, which was not asked for it"),
        }
    }
}

impl fmt::Debug for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Denied({self})")
    }
}
