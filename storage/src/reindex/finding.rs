//! What is wrong in a store.

use oci::{Digest, RepoName, Tag};
use serde::Serialize;

use super::{Kind, MAX_FINDINGS};

/// Something in the store that the new index does not say as it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "id", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Finding {
    /// A blob of no bytes whose digest is not that of no bytes: a write that a crash cut off. Left out.
    #[error("blob {digest} is empty; left out: push it again")]
    EmptyBlob {
        /// What it should be.
        digest: Digest,
    },
    /// A blob that is not what its name says. Left out.
    #[error("blob {digest} has the bytes of {found}; left out: push it again")]
    DamagedBlob {
        /// What it should be.
        digest: Digest,
        /// What it is.
        found: Digest,
    },
    /// A link to a blob that is not there. Left out.
    #[error("{repo} links blob {digest}, which is missing; left out: push it again")]
    LayerWithoutBlob {
        /// The repository.
        repo: RepoName,
        /// The blob.
        digest: Digest,
    },
    /// A link to a manifest whose bytes are not there. Left out.
    #[error("{repo} links manifest {digest}, whose bytes are missing; left out: push it again")]
    ManifestWithoutBytes {
        /// The repository.
        repo: RepoName,
        /// The manifest.
        digest: Digest,
    },
    /// A manifest that cannot be read. Left out.
    #[error("manifest {digest} of {repo} cannot be read ({why}); left out")]
    UnreadableManifest {
        /// The repository.
        repo: RepoName,
        /// The manifest.
        digest: Digest,
        /// Why.
        why: String,
    },
    /// A tag that points to a manifest that is not there. Left out.
    #[error("tag {tag} of {repo} points to {digest}, which is missing; left out: push it again")]
    TagWithoutManifest {
        /// The repository.
        repo: RepoName,
        /// The tag.
        tag: Tag,
        /// What it points to.
        digest: Digest,
    },
    /// A tag's link that holds no digest, so what it pointed to is not known. Left out.
    #[error("tag {tag} of {repo} holds no digest; left out: push it again")]
    UnreadableTag {
        /// The repository.
        repo: RepoName,
        /// The tag.
        tag: Tag,
    },
    /// A link that does not say the digest that its name says. Taken by its name, and written again at the next start.
    #[error(
        "{key} does not say what its name says; taken by its name, and mended at the next start"
    )]
    DamagedLink {
        /// The object.
        key: String,
    },
    /// An object that belongs to nothing. It stays where it is.
    #[error("{key} is nothing that this registry knows; left alone")]
    UnknownObject {
        /// The object.
        key: String,
    },
}

/// What was recorded, and what was wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Distinct blobs and manifests.
    pub blobs: u64,
    /// Blobs, counted in each repository.
    pub layers: u64,
    /// Manifests, counted in each repository.
    pub manifests: u64,
    /// Tags.
    pub tags: u64,
    /// What was wrong.
    pub findings: Vec<Finding>,
    /// How many findings more there were than are kept.
    pub omitted: u64,
}

impl Report {
    pub(super) fn add(&mut self, finding: Finding) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        } else {
            self.omitted += 1;
        }
    }

    pub(super) fn count(&mut self, kind: Kind) {
        match kind {
            Kind::Blob => self.blobs += 1,
            Kind::Layer => self.layers += 1,
            Kind::Manifest => self.manifests += 1,
            Kind::Tag => self.tags += 1,
            Kind::Stale => {}
        }
    }

    pub(super) fn found(&self) -> u64 {
        self.findings.len() as u64 + self.omitted
    }
}
