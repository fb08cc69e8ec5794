//! What a repository offers to be built.

use std::collections::BTreeMap;

use super::listing::Listing;
use super::revision::{ObjectId, RefName, Revision};

#[cfg(test)]
mod tests;

/// A repository's branches and tags, each with the commit that it leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    default: Option<RefName>,
    branches: BTreeMap<RefName, ObjectId>,
    tags: BTreeMap<RefName, ObjectId>,
}

impl References {
    /// What of a listing is one. Names that are none here are left out.
    pub(super) fn of(listing: &Listing) -> Self {
        let target = listing.find("HEAD").and_then(|head| head.target.as_deref());
        let default = target.and_then(|target| target.strip_prefix("refs/heads/"));
        let mut found = Self {
            default: default.and_then(|name| RefName::parse(name).ok()),
            ..Self::default()
        };
        for reference in listing.iter() {
            let (name, id) = (&reference.name, reference.id.clone());
            if let Some(branch) = name.strip_prefix("refs/heads/") {
                found
                    .branches
                    .extend(RefName::parse(branch).ok().map(|name| (name, id)));
            } else if let Some(tag) = name.strip_prefix("refs/tags/") {
                // What an annotated tag points at comes after the tag itself, and counts.
                let tag = tag.strip_suffix("^{}").unwrap_or(tag);
                found
                    .tags
                    .extend(RefName::parse(tag).ok().map(|name| (name, id)));
            }
        }
        found
    }

    /// The branch that is built if none is named.
    pub fn default_branch(&self) -> Option<&RefName> {
        self.default.as_ref()
    }

    /// All branches.
    pub fn branches(&self) -> &BTreeMap<RefName, ObjectId> {
        &self.branches
    }

    /// All tags.
    pub fn tags(&self) -> &BTreeMap<RefName, ObjectId> {
        &self.tags
    }

    /// The commit that a build of a revision would take now. A commit by its id is taken at its word.
    pub fn commit<'a>(&'a self, revision: &'a Revision) -> Option<&'a ObjectId> {
        match revision {
            Revision::Default => self.branches.get(self.default.as_ref()?),
            Revision::Branch(name) => self.branches.get(name),
            Revision::Tag(name) => self.tags.get(name),
            Revision::Name(name) => self.branches.get(name).or_else(|| self.tags.get(name)),
            Revision::Commit(id) => Some(id),
        }
    }
}

/// A branch's or tag's name without what git has in front of it.
pub(super) fn short(reference: Option<&str>) -> String {
    let Some(reference) = reference else {
        return String::new();
    };
    let name = reference
        .strip_prefix("refs/heads/")
        .or(reference.strip_prefix("refs/tags/"));
    name.unwrap_or(reference).to_owned()
}
