//! What is done to the registry as a whole rather than in a repository.

use std::fmt;

use crate::Identity;

/// A right over the whole registry: in Kubernetes' terms a verb on a virtual resource without a namespace, in the group
/// of the images (`registry.alauda.io`). It is given by a ClusterRole and a ClusterRoleBinding; `cluster-admin` has it.
/// What means something in a namespace alone ([`AdminRight::ReadAudit`]) can be given there by a RoleBinding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum AdminRight {
    /// Read who did what: `get audit`.
    ReadAudit = 1,
    /// See everybody's API tokens: `list tokens`.
    ListTokens = 2,
    /// Take anybody's API token away: `delete tokens`.
    RevokeTokens = 4,
}

impl AdminRight {
    /// Every right.
    pub const ALL: [Self; 3] = [Self::ReadAudit, Self::ListTokens, Self::RevokeTokens];

    /// The verb in RBAC rules and access reviews.
    pub fn verb(self) -> &'static str {
        match self {
            Self::ReadAudit => "get",
            Self::ListTokens => "list",
            Self::RevokeTokens => "delete",
        }
    }

    /// The resource in RBAC rules and access reviews.
    pub fn resource(self) -> &'static str {
        match self {
            Self::ReadAudit => "audit",
            Self::ListTokens | Self::RevokeTokens => "tokens",
        }
    }
}

impl fmt::Display for AdminRight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb(), self.resource())
    }
}

/// The proof that somebody has an [`AdminRight`]. Only [`Gate`](crate::Gate) makes one.
#[derive(Debug)]
pub struct AdminPermit {
    right: AdminRight,
    namespace: Option<String>,
    who: Identity,
}

impl AdminPermit {
    pub(crate) fn new(right: AdminRight, namespace: Option<&str>, who: Identity) -> Self {
        let namespace = namespace.map(str::to_owned);
        Self {
            right,
            namespace,
            who,
        }
    }

    /// The right it proves, and no other.
    pub fn right(&self) -> AdminRight {
        self.right
    }

    /// The namespace that it is limited to; `None` for the registry as a whole.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Who has it.
    pub fn who(&self) -> &Identity {
        &self.who
    }
}
