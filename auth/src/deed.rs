//! What somebody would do, as rules have it.

use std::fmt;

use oci::RepoName;

use crate::{Action, Right};

/// Something that rules give or do not give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// In a repository.
    Repository(Action, RepoName),
    /// To the registry as a whole, or to one namespace of it.
    Registry(Right, Option<String>),
}

impl Deed {
    /// The verb in RBAC rules and access reviews.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Repository(action, _) => action.verb(),
            Self::Registry(right, _) => right.verb(),
        }
    }

    /// Where a rule has to hold; `None`: everywhere.
    pub fn namespace(&self) -> Option<&str> {
        match self {
            Self::Repository(_, repo) => Some(repo.namespace()),
            Self::Registry(_, namespace) => namespace.as_deref(),
        }
    }
}

/// In the words of Kubernetes: verb, resource, namespace.
impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repository(action, repo) => write!(
                f,
                "{action} images in namespace {:?} (repository {repo})",
                repo.namespace()
            ),
            Self::Registry(right, None) => write!(f, "{right} of this registry"),
            Self::Registry(right, Some(namespace)) => {
                write!(f, "{right} in namespace {namespace:?}")
            }
        }
    }
}
