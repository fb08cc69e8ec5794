//! Why a request does not get through.

use std::fmt;
use std::time::Duration;

use oci::RepoName;

use crate::{Action, Identity, Right};

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
    /// It has the form of an API token, but none was ever given out like this: 401 with a challenge.
    #[error("this token is mistyped or cut short: its checksum is wrong")]
    MistypedToken,
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
    #[error("authentication is not available at the moment")]
    Unavailable {
        /// How long to wait.
        retry_after: Duration,
    },
}

/// What was refused, and to whom: as the caller asked for it, so that it tells nothing that the caller did not know.
#[derive(Clone, PartialEq, Eq)]
pub struct Denied {
    who: Identity,
    what: What,
}

#[derive(Clone, PartialEq, Eq)]
enum What {
    Repository(Action, RepoName),
    Registry(Right, Option<String>),
}

impl Denied {
    pub(crate) fn new(who: &Identity, action: Action, repo: &RepoName) -> Self {
        Self {
            who: who.clone(),
            what: What::Repository(action, repo.clone()),
        }
    }

    pub(crate) fn right(who: &Identity, right: Right, namespace: Option<&str>) -> Self {
        Self {
            who: who.clone(),
            what: What::Registry(right, namespace.map(str::to_owned)),
        }
    }

    /// Who asked.
    pub fn who(&self) -> &Identity {
        &self.who
    }

    /// The verb of what they asked to do.
    pub fn verb(&self) -> &'static str {
        match &self.what {
            What::Repository(action, _) => action.verb(),
            What::Registry(right, _) => right.verb(),
        }
    }

    /// Where; `None` when it was about the registry as a whole.
    pub fn repo(&self) -> Option<&RepoName> {
        match &self.what {
            What::Repository(_, repo) => Some(repo),
            What::Registry(..) => None,
        }
    }
}

/// In the words of Kubernetes: user, verb, resource, namespace.
impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user {:?} may not ", self.who.name())?;
        match &self.what {
            What::Repository(action, repo) => write!(
                f,
                "{action} images in namespace {:?} (repository {repo})",
                repo.namespace()
            ),
            What::Registry(right, None) => write!(f, "{right} of this registry"),
            What::Registry(right, Some(namespace)) => {
                write!(f, "{right} in namespace {namespace:?}")
            }
        }
    }
}

impl fmt::Debug for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Denied({self})")
    }
}
