//! What of a repository is wanted.

use std::str::FromStr;

#[cfg(test)]
mod tests;

/// A commit of a repository, as people name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Revision {
    /// The latest commit of the branch that the repository calls its own.
    #[default]
    Default,
    /// A branch's latest commit.
    Branch(RefName),
    /// A tag's commit.
    Tag(RefName),
    /// A branch or, if there is none of that name, a tag.
    Name(RefName),
    /// A commit by its whole id.
    Commit(ObjectId),
}

/// Nothing: the default. `refs/heads/x`, `refs/tags/x`: what they say. 40 or 64 hex digits: a commit. Else a name.
impl FromStr for Revision {
    type Err = InvalidRevision;

    fn from_str(text: &str) -> Result<Self, InvalidRevision> {
        if text.is_empty() {
            return Ok(Self::Default);
        }
        if let Some(name) = text.strip_prefix("refs/heads/") {
            return RefName::parse(name).map(Self::Branch);
        }
        if let Some(name) = text.strip_prefix("refs/tags/") {
            return RefName::parse(name).map(Self::Tag);
        }
        match ObjectId::parse(text) {
            Some(id) => Ok(Self::Commit(id)),
            None => RefName::parse(text).map(Self::Name),
        }
    }
}

/// A branch's or tag's name: what git-check-ref-format(1) takes, less what begins with `-`, control characters and all
/// that is longer than 255 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RefName(String);

impl RefName {
    /// Reads a name.
    pub fn parse(text: &str) -> Result<Self, InvalidRevision> {
        let part = |part: &str| {
            !part.is_empty() && !part.starts_with('.') && part.strip_suffix(".lock").is_none()
        };
        let odd = |c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c);
        let fits = text.len() <= 255
            && !text.starts_with('-')
            && !text.ends_with('.')
            && text != "@"
            && !text.contains("..")
            && !text.contains("@{")
            && !text.contains(odd)
            && text.split('/').all(part);
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidRevision)
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text is no revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a revision is a branch, a tag, or all 40 hex digits of a commit's id")]
pub struct InvalidRevision;

/// The id of a git object: 40 hex digits (SHA-1) or 64 (SHA-256), lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId(Box<str>);

impl ObjectId {
    /// Reads an id, in either case.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit());
        hex.then(|| Self(text.to_ascii_lowercase().into()))
    }

    /// That of an id as it is stored in trees, 20 or 32 bytes.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
        let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        Self(digits.map(digit).collect())
    }

    pub(super) fn is_sha1(&self) -> bool {
        self.0.len() == 40
    }

    /// The hex.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
