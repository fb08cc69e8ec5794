//! What an index knows, as values.

use std::time::SystemTime;

use oci::{Descriptor, Digest, Manifest, MediaType, RepoName, Tag, UploadId};
use serde::Serialize;

/// A link object that an index row stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Link {
    /// The repository holds the blob.
    Layer(RepoName, Digest),
    /// The repository holds the manifest.
    Revision(RepoName, Digest),
    /// What a tag points to.
    Tag(RepoName, Tag),
}

/// What the index says of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// There is none.
    Absent,
    /// A layer link.
    Present,
    /// A revision link, and the manifest's media type.
    Revision(MediaType),
    /// A tag, and what it points to.
    Tag(Digest),
}

/// A link object that may not say what the index says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalRow {
    /// The row's number, growing.
    pub id: i64,
    /// Which link.
    pub link: Link,
}

/// An upload session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its name.
    pub id: UploadId,
    /// The repository that the blob is for.
    pub repo: RepoName,
    /// The principal that opened it.
    pub owner: String,
    /// Bytes received.
    pub offset: u64,
    /// Their hash so far ([`oci::Hashers::checkpoint`]).
    pub hashers: Vec<u8>,
    /// When somebody last did something with it.
    pub touched: SystemTime,
}

/// A manifest to record.
#[derive(Debug)]
pub struct NewManifest<'a> {
    /// Where.
    pub repo: &'a RepoName,
    /// The manifest: its digest, media type, size and everything that it names.
    pub manifest: &'a Manifest,
    /// Tags to point at it.
    pub tags: &'a [Tag],
    /// Whether what tags serve may change: they may be moved, and known bytes get another media type.
    pub moves: crate::MoveTags,
    /// Whether blobs that it names may be missing.
    pub sparse: crate::Sparse,
    /// When it was pushed, and by whom.
    pub cause: &'a crate::audit::Cause,
}

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutOutcome {
    /// Recorded.
    Done,
    /// The repository does not hold these blobs; nothing was recorded.
    MissingBlobs(Vec<Digest>),
    /// The tag points elsewhere and may not be moved; nothing was recorded.
    TagExists(Tag),
    /// The repository holds these bytes as this media type, and what its tags serve may not be changed; nothing was
    /// recorded.
    OtherType(MediaType),
}

/// What is known of a manifest besides its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestFacts {
    /// Its name.
    pub digest: Digest,
    /// How to read it.
    pub media_type: MediaType,
    /// Bytes.
    pub size: u64,
}

/// A page of the manifests that refer to another.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Referrers {
    /// In the order of their digests' text.
    pub entries: Vec<Descriptor>,
    /// There are more after the last one.
    pub more: bool,
}

/// What became of taking a blob out of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unlink {
    /// It is out.
    Done,
    /// The repository did not hold it.
    Unknown,
    /// A manifest of the repository needs it.
    Referenced,
}

/// What a manifest names something as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EdgeKind {
    /// Its configuration, a blob.
    Config,
    /// A layer, a blob.
    Layer,
    /// A manifest that it lists.
    Child,
    /// The manifest that it is about.
    Subject,
}

/// A name in a manifest for something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Edge {
    /// What it is named as.
    pub kind: EdgeKind,
    /// What is named.
    pub target: Digest,
}

impl Edge {
    /// What a manifest names, in order, each once.
    pub fn of(manifest: &Manifest) -> Vec<Self> {
        let named = |kind| {
            move |named: &Descriptor| Self {
                kind,
                target: named.digest,
            }
        };
        let mut edges: Vec<Self> = manifest
            .config()
            .map(named(EdgeKind::Config))
            .into_iter()
            .collect();
        edges.extend(manifest.layers().iter().map(named(EdgeKind::Layer)));
        edges.extend(manifest.children().iter().map(named(EdgeKind::Child)));
        edges.extend(manifest.subject().map(named(EdgeKind::Subject)));
        edges.sort();
        edges.dedup();
        edges
    }
}

/// All that is known of a manifest besides its bytes and when it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestRecord {
    /// Name, type, size.
    pub facts: ManifestFacts,
    /// What a referrers list says it is.
    pub artifact_type: Option<String>,
    /// What it names, in order.
    pub edges: Vec<Edge>,
}

/// A token that a user was given, as it is kept: without its text, of which only the hash is here. Objects do not hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptToken {
    /// Its name, which is part of its text.
    pub id: String,
    /// What it is for; tokens of an owner are counted by kind.
    pub kind: String,
    /// The principal that it stands for.
    pub owner: String,
    /// Of its text.
    pub hash: Vec<u8>,
    /// When it was made.
    pub created: SystemTime,
    /// When it ends.
    pub expires: SystemTime,
    /// When it was last used, roughly.
    pub used: Option<SystemTime>,
    /// When it was taken away before its end.
    pub revoked: Option<SystemTime>,
    /// The rest, in the words of whoever reads it.
    pub document: String,
}

/// What to do when an owner has as many tokens as allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// Add none.
    Refuse,
    /// Forget the oldest ones.
    ForgetOldest,
}

/// Something found in a store.
#[derive(Debug, Clone)]
pub enum Fact {
    /// Bytes of a blob or manifest.
    Blob {
        /// Their name.
        digest: Digest,
        /// How many.
        size: u64,
    },
    /// The repository holds a blob.
    Layer {
        /// The repository.
        repo: RepoName,
        /// The blob.
        digest: Digest,
    },
    /// The repository holds a manifest.
    Manifest {
        /// The repository.
        repo: RepoName,
        /// The manifest. Boxed: it is far larger than the other facts.
        manifest: Box<Manifest>,
    },
    /// A tag.
    Tag {
        /// The repository.
        repo: RepoName,
        /// The tag.
        tag: Tag,
        /// What it points to.
        digest: Digest,
    },
    /// A link that does not say what it should: to be written again.
    Stale(Link),
    /// A token of the old index.
    Token(KeptToken),
}

/// How much there is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Census {
    /// Repositories with at least one manifest.
    pub repositories: u64,
    /// Manifests, counted in each repository.
    pub manifests: u64,
    /// Tags.
    pub tags: u64,
    /// Distinct blobs and manifests whose bytes are stored.
    pub blobs: u64,
    /// Their bytes, each counted once: what the store holds.
    pub stored_bytes: u64,
    /// Bytes that repositories hold, counted in each: what would be stored without sharing.
    pub logical_bytes: u64,
    /// Distinct blobs that no repository holds, neither as a blob nor as a manifest.
    pub unheld_blobs: u64,
    /// Their bytes.
    pub unheld_bytes: u64,
    /// Upload sessions.
    pub uploads: u64,
    /// Bytes that they have received.
    pub upload_bytes: u64,
    /// Links that wait to be synced.
    pub journal: u64,
    /// The repositories that hold the most bytes, most first.
    pub largest: Vec<RepositoryCensus>,
}

/// How much a repository holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RepositoryCensus {
    /// Its name.
    pub name: RepoName,
    /// Manifests.
    pub manifests: u64,
    /// Tags.
    pub tags: u64,
    /// Blobs that it holds.
    pub blobs: u64,
    /// Bytes of its blobs and manifests.
    pub bytes: u64,
}
