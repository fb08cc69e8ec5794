//! Which runs of a build are of the same.

use crate::records::SourceSpec;
use crate::source::git::Revision;

/// What a run is of. What is newer of something else makes it no more needless than it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::builds) enum Line {
    /// A branch or tag; empty is the repository's own branch.
    Branch(String),
    /// A commit or an artifact, as it is written: of which branch that is is not known.
    Source(SourceSpec),
}

impl Line {
    pub(in crate::builds) fn of(source: &SourceSpec) -> Self {
        let revision = match source {
            SourceSpec::Git { revision, .. } => revision.as_deref().unwrap_or_default().parse(),
            SourceSpec::Image { .. } => return Self::Source(source.clone()),
        };
        match revision {
            Ok(Revision::Default) => Self::Branch(String::new()),
            Ok(Revision::Branch(name) | Revision::Tag(name) | Revision::Name(name)) => {
                Self::Branch(name.as_str().to_owned())
            }
            Ok(Revision::Commit(_)) | Err(_) => Self::Source(source.clone()),
        }
    }
}
