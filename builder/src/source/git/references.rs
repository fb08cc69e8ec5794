//! What a repository offers to be built.

use std::collections::BTreeMap;

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
    /// Reads the output of `git ls-remote --symref` (git-ls-remote(1)). Names that are none here are left out.
    pub(super) fn parse(listed: &str) -> Self {
        let mut found = Self::default();
        for (value, name) in listed.lines().filter_map(|line| line.split_once('\t')) {
            if let Some(target) = value.strip_prefix("ref: refs/heads/") {
                if name == "HEAD" {
                    found.default = RefName::parse(target).ok();
                }
                continue;
            }
            let Some(id) = ObjectId::parse(value) else {
                continue;
            };
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
