//! Which commit a revision stands for, by what a server lists.

use super::listing::Listing;
use super::revision::{ObjectId, RefName, Revision};

/// A commit, and the branch or tag that led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resolved {
    pub(crate) commit: ObjectId,
    /// As the server has it, `refs/heads/main`; `None` if the commit was named by its id.
    pub(crate) reference: Option<String>,
}

/// The references to ask for, the best first.
pub(super) fn patterns(revision: &Revision) -> Vec<String> {
    let head = |name: &RefName| format!("refs/heads/{}", name.as_str());
    let tag = |name: &RefName| {
        let name = name.as_str();
        // What an annotated tag points at comes before the tag itself.
        [
            format!("refs/tags/{name}^{{}}"),
            format!("refs/tags/{name}"),
        ]
    };
    match revision {
        Revision::Default | Revision::Commit(_) => vec!["HEAD".to_owned()],
        Revision::Branch(name) => vec![head(name)],
        Revision::Tag(name) => tag(name).to_vec(),
        Revision::Name(name) => [head(name)].into_iter().chain(tag(name)).collect(),
    }
}

/// The best of `wanted` that is listed.
pub(super) fn chosen(wanted: &[String], listing: &Listing) -> Option<Resolved> {
    wanted.iter().find_map(|name| {
        let found = listing.find(name)?;
        let reference = found.target.as_ref().unwrap_or(name);
        let reference = reference.trim_end_matches("^{}");
        Some(Resolved {
            commit: found.id.clone(),
            // A name of the server's choosing: only if it is one.
            reference: reference
                .strip_prefix("refs/")
                .filter(|rest| RefName::parse(rest).is_ok())
                .map(|_| reference.to_owned()),
        })
    })
}

/// What is said where a server does not have it.
pub(super) fn missing(revision: &Revision) -> String {
    match revision {
        Revision::Default => "the repository has no default branch: is it empty?".to_owned(),
        Revision::Branch(name) => format!("there is no branch {:?}", name.as_str()),
        Revision::Tag(name) => format!("there is no tag {:?}", name.as_str()),
        Revision::Commit(id) => format!("there is no commit {}", id.as_str()),
        Revision::Name(name) => {
            let name = name.as_str();
            let abbreviated = name.len() >= 7 && name.bytes().all(|b| b.is_ascii_hexdigit());
            let hint = if abbreviated {
                " (a commit is named by all 40 digits of its id)"
            } else {
                ""
            };
            format!("there is no branch or tag {name:?}{hint}")
        }
    }
}
