//! What can be done besides pulling and pushing.

use std::fmt;

use crate::{AdminRight, BuildRight};

/// A right that is about no repository: a verb on another virtual resource in the group of the images
/// (`registry.alauda.io`), of the registry as a whole or of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Right {
    /// Over the registry.
    Admin(AdminRight),
    /// With builds.
    Build(BuildRight),
}

impl Right {
    /// Every right.
    pub fn all() -> impl Iterator<Item = Self> {
        let admin = AdminRight::ALL.into_iter().map(Self::Admin);
        admin.chain(BuildRight::ALL.into_iter().map(Self::Build))
    }

    /// The verb in RBAC rules and access reviews.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Admin(right) => right.verb(),
            Self::Build(right) => right.verb(),
        }
    }

    /// The resource in RBAC rules and access reviews.
    pub fn resource(self) -> &'static str {
        match self {
            Self::Admin(right) => right.resource(),
            Self::Build(right) => right.resource(),
        }
    }

    fn bit(self) -> u32 {
        match self {
            Self::Admin(right) => right as u32,
            Self::Build(right) => right as u32,
        }
    }
}

impl From<AdminRight> for Right {
    fn from(right: AdminRight) -> Self {
        Self::Admin(right)
    }
}

impl From<BuildRight> for Right {
    fn from(right: BuildRight) -> Self {
        Self::Build(right)
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb(), self.resource())
    }
}

/// A set of [`Right`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RightSet(u32);

impl RightSet {
    pub(crate) fn contains(self, right: Right) -> bool {
        self.0 & right.bit() != 0
    }

    #[must_use]
    pub(crate) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl FromIterator<Right> for RightSet {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        Self(rights.into_iter().fold(0, |set, right| set | right.bit()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Right, RightSet};

    #[test]
    fn each_right_is_one_bit_and_one_pair_of_words() {
        let mut bits = 0_u32;
        let mut words = HashSet::new();
        for right in Right::all() {
            assert_eq!(right.bit().count_ones(), 1, "{right}");
            assert_eq!(bits & right.bit(), 0, "{right} has a bit of its own");
            bits |= right.bit();
            assert!(words.insert(right.to_string()), "{right}");
            let only: RightSet = [right].into_iter().collect();
            let others = Right::all().filter(|other| only.contains(*other));
            assert_eq!(others.collect::<Vec<_>>(), [right]);
        }
    }
}
