//! What a plan needs to know of a source.

use oci::Digest;

use crate::s2i::SourceScripts;

/// A source snapshot, as far as planning looks into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The snapshot's digest.
    pub digest: Digest,
    /// The scripts that it brings.
    pub scripts: SourceScripts,
    /// The bytes of its `.s2i/environment`.
    pub environment: Option<Vec<u8>>,
    /// Where it came from, without credentials; empty if it was uploaded.
    pub location: String,
    /// The folder of the repository that it is; empty for all of it.
    pub context_dir: String,
    /// The commit, if it came from git.
    pub commit: Option<Commit>,
}

/// A commit, for labels and people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// The id, in hex.
    pub id: String,
    /// The branch or tag that led to it; empty if it was named by its id.
    pub reference: String,
    /// Who wrote it.
    pub author_name: String,
    /// The author's address.
    pub author_email: String,
    /// When it was authored, as git writes it: `Thu Jan 1 00:00:00 1970 +0000`.
    pub date: String,
    /// The message's first line.
    pub message: String,
}
