//! What is done with the builds of a namespace.

use std::fmt;

use crate::Identity;

/// A right with builds: in Kubernetes' terms a verb on a virtual resource of a namespace, in the group of the images
/// (`registry.alauda.io`). What is everybody's, the catalogue of builder images of all namespaces, is changed by who has the
/// right everywhere, by a ClusterRoleBinding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum BuildRight {
    /// Make a build, start, cancel and repeat runs: `create builds`.
    CreateBuilds = 1 << 8,
    /// See a build, a run and its log: `get builds`.
    GetBuilds = 1 << 9,
    /// List builds and runs: `list builds`.
    ListBuilds = 1 << 10,
    /// Change what a build is: `update builds`.
    UpdateBuilds = 1 << 11,
    /// Remove builds and ended runs: `delete builds`.
    DeleteBuilds = 1 << 12,
    /// See an entry of the catalogue: `get builderimages`.
    GetBuilderImages = 1 << 13,
    /// List the catalogue: `list builderimages`.
    ListBuilderImages = 1 << 14,
    /// Add to the catalogue: `create builderimages`.
    CreateBuilderImages = 1 << 15,
    /// Take from the catalogue: `delete builderimages`.
    DeleteBuilderImages = 1 << 16,
    /// Set a secret, also one that is there: `create buildsecrets`. Nobody reads one.
    CreateSecrets = 1 << 17,
    /// List the secrets' names: `list buildsecrets`.
    ListSecrets = 1 << 18,
    /// Remove a secret: `delete buildsecrets`.
    DeleteSecrets = 1 << 19,
}

impl BuildRight {
    /// Every right.
    pub const ALL: [Self; 12] = [
        Self::CreateBuilds,
        Self::GetBuilds,
        Self::ListBuilds,
        Self::UpdateBuilds,
        Self::DeleteBuilds,
        Self::GetBuilderImages,
        Self::ListBuilderImages,
        Self::CreateBuilderImages,
        Self::DeleteBuilderImages,
        Self::CreateSecrets,
        Self::ListSecrets,
        Self::DeleteSecrets,
    ];

    /// The verb in RBAC rules and access reviews.
    pub fn verb(self) -> &'static str {
        match self {
            Self::CreateBuilds | Self::CreateBuilderImages | Self::CreateSecrets => "create",
            Self::GetBuilds | Self::GetBuilderImages => "get",
            Self::ListBuilds | Self::ListBuilderImages | Self::ListSecrets => "list",
            Self::UpdateBuilds => "update",
            Self::DeleteBuilds | Self::DeleteBuilderImages | Self::DeleteSecrets => "delete",
        }
    }

    /// The resource in RBAC rules and access reviews. Secrets have a name of their own, so that rules for Kubernetes'
    /// secrets with `*` for a group are not taken for rules for these.
    pub fn resource(self) -> &'static str {
        match self {
            Self::CreateBuilds
            | Self::GetBuilds
            | Self::ListBuilds
            | Self::UpdateBuilds
            | Self::DeleteBuilds => "builds",
            Self::GetBuilderImages
            | Self::ListBuilderImages
            | Self::CreateBuilderImages
            | Self::DeleteBuilderImages => "builderimages",
            Self::CreateSecrets | Self::ListSecrets | Self::DeleteSecrets => "buildsecrets",
        }
    }

    /// Whether a token that is for building has it: programs build and keep the builds of their namespace, and people
    /// remove things and set secrets.
    pub(crate) fn is_building(self) -> bool {
        matches!(
            self,
            Self::CreateBuilds
                | Self::GetBuilds
                | Self::ListBuilds
                | Self::UpdateBuilds
                | Self::GetBuilderImages
                | Self::ListBuilderImages
        )
    }
}

impl fmt::Display for BuildRight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb(), self.resource())
    }
}

/// The proof that somebody has a [`BuildRight`] in a namespace. Only [`Gate`](crate::Gate) makes one.
#[derive(Clone, Debug)]
pub struct BuildPermit {
    right: BuildRight,
    namespace: Option<String>,
    who: Identity,
}

impl BuildPermit {
    pub(crate) fn new(right: BuildRight, namespace: Option<&str>, who: Identity) -> Self {
        let namespace = namespace.map(str::to_owned);
        Self {
            right,
            namespace,
            who,
        }
    }

    /// The right it proves, and no other.
    pub fn right(&self) -> BuildRight {
        self.right
    }

    /// The namespace that it holds for; `None`: for what is everybody's.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Who has it.
    pub fn who(&self) -> &Identity {
        &self.who
    }
}
