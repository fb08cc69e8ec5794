//! Repository names.

use std::sync::Arc;

#[cfg(test)]
mod tests;

/// What the places of sources begin with in their namespace.
const SOURCES: &str = "sources/";

/// A repository name (distribution-spec, "Pulling manifests"): one or more segments parted by `/`, of any depth.
///
/// - a segment is runs of `[a-z0-9]` parted by `.`, `_`, `__` or any number of `-`;
/// - at most [`RepoName::MAX_LEN`] bytes in all.
///
/// So it is never empty, has no `.`/`..` segment, and is safe as a relative path. Cheap to clone; orders by bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepoName(Arc<str>);

impl RepoName {
    /// Longest name in bytes; what Distribution and every client hold to.
    pub const MAX_LEN: usize = 255;

    /// Reads a name.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        if text.is_empty() {
            return Err(InvalidName::Empty);
        }
        if text.len() > Self::MAX_LEN {
            return Err(InvalidName::TooLong);
        }
        if text.split('/').all(is_segment) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidName::Malformed)
        }
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the sources of a build, or of a run without one, are kept in `namespace`: `<namespace>/sources/<owner>`.
    ///
    /// The name is Slipway's own agreement: clients send sources there, builds keep them there, and reading them takes
    /// a right with builds beside that with images.
    pub fn of_sources(namespace: &str, owner: &str) -> Result<Self, InvalidName> {
        Self::parse(&format!("{namespace}/{SOURCES}{owner}"))
    }

    /// Whether it is a place [of sources](Self::of_sources).
    pub fn holds_sources(&self) -> bool {
        self.rest().starts_with(SOURCES)
    }

    /// The first segment: what rights are granted on.
    pub fn namespace(&self) -> &str {
        self.0.split_once('/').map_or(&*self.0, |(first, _)| first)
    }

    /// Everything after the first segment; `""` when there is only one.
    pub fn rest(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, rest)| rest)
    }
}

fn is_segment(segment: &str) -> bool {
    let bytes = segment.as_bytes();
    let is_plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    if !bytes.first().is_some_and(is_plain) || !bytes.last().is_some_and(is_plain) {
        return false;
    }
    bytes
        .split(is_plain)
        .all(|gap| matches!(gap, b"" | b"." | b"_" | b"__") || gap.iter().all(|b| *b == b'-'))
}

/// Why a text is no repository name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Nothing there.
    #[error("the repository name is missing")]
    Empty,
    /// Over [`RepoName::MAX_LEN`] bytes.
    #[error("the repository name is longer than {} bytes", RepoName::MAX_LEN)]
    TooLong,
    /// Not the grammar.
    #[error(
        "invalid repository name: segments parted by '/' hold lower-case letters and digits, \
         parted by '.', '_', '__' or '-'"
    )]
    Malformed,
}

crate::text::text_form!(RepoName, InvalidName);
crate::text::str_form!(RepoName);
