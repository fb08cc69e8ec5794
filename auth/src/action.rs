//! What can be done in a repository.

use std::fmt;

/// One thing done in a repository, under its Kubernetes verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Action {
    /// Pull, HEAD, list tags and referrers; be seen in the catalog.
    Get = 1,
    /// Push a blob, a manifest, or a tag that is new.
    Create = 2,
    /// Move a tag that exists.
    Update = 4,
    /// Delete a tag, manifest, blob link or repository.
    Delete = 8,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 4] = [Self::Get, Self::Create, Self::Update, Self::Delete];

    /// By either of its names: that of rules or that of scopes.
    pub fn parse(name: &str) -> Option<Self> {
        let is = |action: &Self| action.verb() == name || action.scope_name() == name;
        Self::ALL.into_iter().find(is)
    }

    /// The verb in RBAC rules and access reviews.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    /// The name in the scope of a token: `pull` and `push` as in the Docker token protocol, `delete` as Distribution
    /// calls it, and `retag`, our own, for moving a tag.
    pub fn scope_name(self) -> &'static str {
        match self {
            Self::Get => "pull",
            Self::Create => "push",
            Self::Update => "retag",
            Self::Delete => "delete",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verb())
    }
}

/// A set of [`Action`]s.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Actions(u8);

impl Actions {
    /// No action.
    pub const NONE: Self = Self(0);
    /// Every action.
    pub const ALL: Self = Self(15);

    /// Whether `action` is in the set.
    pub fn contains(self, action: Action) -> bool {
        self.0 & action as u8 != 0
    }

    /// Whether there is nothing in the set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The set with `action` in it.
    #[must_use]
    pub fn with(self, action: Action) -> Self {
        Self(self.0 | action as u8)
    }

    /// What is in either set.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The actions in the set.
    pub fn iter(self) -> impl Iterator<Item = Action> {
        Action::ALL
            .into_iter()
            .filter(move |action| self.contains(*action))
    }
}

impl FromIterator<Action> for Actions {
    fn from_iter<I: IntoIterator<Item = Action>>(actions: I) -> Self {
        actions.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
