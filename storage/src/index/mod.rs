//! The seam to facts: what a registry knows, in SQL.
//!
//! Every method is one transaction. Methods that change something return when the change is
//! durable, except those of upload sessions, which are *soft*: they survive the process, and a
//! loss of power may take the last of them.

mod audit;
mod facts;
mod records;
pub mod sqlite;
#[cfg(feature = "test-util")]
pub mod suite;
mod tokens;

pub use audit::AuditTable;
pub use facts::{
    Census, Edge, EdgeKind, Fact, JournalRow, KeptToken, Link, LinkState, ManifestFacts,
    ManifestRecord, NewManifest, PutOutcome, Referrers, RepositoryCensus, Session, Unlink,
    WhenFull,
};
pub use records::{
    InvalidBatch, MAX_BATCH_BYTES, MAX_BATCH_RECORDS, MAX_BRIEF_BYTES, MAX_RECORD_BYTES,
    MAX_RECORD_NAME_BYTES, Record, RecordBatch, RecordBrief, RecordKey, RecordTable, RecordWrite,
    RecordsWritten,
};
pub use tokens::TokenTable;

use std::fmt;
use std::time::SystemTime;

use async_trait::async_trait;
use oci::{Digest, RepoName, Tag, UploadId};

use crate::StorageError;
use crate::audit::Cause;

/// Facts of a registry, with the audit record among them: a change that a [`Cause`] names somebody for leaves its rows there
/// in its own transaction. No method has a default: who implements it decides everything.
#[async_trait]
pub trait Index:
    AuditTable + RecordTable + TokenTable + fmt::Debug + Send + Sync + 'static
{
    /// One cheap question, for readiness.
    async fn ping(&self) -> Result<(), StorageError>;

    /// No sync has failed: writes are not refused out of hand.
    fn takes_writes(&self) -> bool;

    /// Nothing was ever recorded here.
    async fn is_new(&self) -> Result<bool, StorageError>;

    // Blobs.

    /// The size of a blob that the repository holds.
    async fn blob(&self, repo: &RepoName, digest: &Digest) -> Result<Option<u64>, StorageError>;

    /// Records a blob whose bytes are durable, and that the repository holds it. Ends the upload
    /// session that brought it, if one did.
    async fn link_blob(
        &self,
        repo: &RepoName,
        digest: &Digest,
        size: u64,
        session: Option<&UploadId>,
        cause: &Cause,
    ) -> Result<(), StorageError>;

    /// Makes a blob of `from` one of `into` too. `None`: `from` does not hold it.
    async fn mount_blob(
        &self,
        into: &RepoName,
        from: &RepoName,
        digest: &Digest,
        cause: &Cause,
    ) -> Result<Option<u64>, StorageError>;

    /// Takes a blob out of the repository, unless a manifest there needs it.
    async fn unlink_blob(
        &self,
        repo: &RepoName,
        digest: &Digest,
        cause: &Cause,
    ) -> Result<Unlink, StorageError>;

    /// Those of `digests` that the repository does not hold, each once.
    async fn missing_blobs(
        &self,
        repo: &RepoName,
        digests: &[Digest],
    ) -> Result<Vec<Digest>, StorageError>;

    /// Repositories that hold the blob, in an order that stays (not that of their names: a blob
    /// that everybody has must not be sorted for whoever asks for one holder) after `after`.
    async fn holders(
        &self,
        digest: &Digest,
        after: Option<&RepoName>,
        limit: usize,
    ) -> Result<Vec<RepoName>, StorageError>;

    // Upload sessions (soft).

    /// Records a new session. False: its owner has `most` of them already.
    async fn create_upload(&self, session: &Session, most: usize) -> Result<bool, StorageError>;

    /// A session.
    async fn upload(&self, id: &UploadId) -> Result<Option<Session>, StorageError>;

    /// Records how far a session is; its bytes are durable. False: the session is gone.
    async fn checkpoint_upload(
        &self,
        id: &UploadId,
        offset: u64,
        hashers: &[u8],
        now: SystemTime,
    ) -> Result<bool, StorageError>;

    /// Forgets a session. False: it was not there.
    async fn delete_upload(&self, id: &UploadId) -> Result<bool, StorageError>;

    /// Sessions that nobody has touched since `idle_since`, at most `limit`.
    async fn idle_uploads(
        &self,
        idle_since: SystemTime,
        limit: usize,
    ) -> Result<Vec<(UploadId, RepoName)>, StorageError>;

    // Manifests and tags.

    /// Records a manifest whose bytes are durable, and points `tags` at it: all or nothing.
    async fn put_manifest(&self, manifest: &NewManifest<'_>) -> Result<PutOutcome, StorageError>;

    /// What a tag points to.
    async fn tag(&self, repo: &RepoName, tag: &Tag) -> Result<Option<ManifestFacts>, StorageError>;

    /// A manifest of the repository.
    async fn manifest(
        &self,
        repo: &RepoName,
        digest: &Digest,
    ) -> Result<Option<ManifestFacts>, StorageError>;

    /// Those of `digests` that are manifests of the repository.
    async fn held_manifests(
        &self,
        repo: &RepoName,
        digests: &[Digest],
    ) -> Result<Vec<Digest>, StorageError>;

    /// Forgets a tag. False: it was not there.
    async fn delete_tag(
        &self,
        repo: &RepoName,
        tag: &Tag,
        cause: &Cause,
    ) -> Result<bool, StorageError>;

    /// Forgets a manifest and every tag that points to it; returns those tags. `None`: the
    /// repository does not hold it.
    async fn delete_manifest(
        &self,
        repo: &RepoName,
        digest: &Digest,
        cause: &Cause,
    ) -> Result<Option<Vec<Tag>>, StorageError>;

    // Lists, in byte order.

    /// Tags after `last`. `None`: there is no such repository.
    async fn tags(
        &self,
        repo: &RepoName,
        last: Option<&str>,
        limit: usize,
    ) -> Result<Option<Vec<Tag>>, StorageError>;

    /// Repositories with at least one manifest, after `last`.
    async fn repositories(
        &self,
        last: Option<&str>,
        limit: usize,
    ) -> Result<Vec<RepoName>, StorageError>;

    /// Manifests whose subject is `subject`, in the order of their digests' text after `after`.
    /// The page ends after `limit` of them, or earlier when it would weigh more than [`MAX_REFERRERS_BYTES`].
    async fn referrers(
        &self,
        repo: &RepoName,
        subject: &Digest,
        artifact_type: Option<&str>,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Referrers, StorageError>;

    // The journal of link objects.

    /// Stale links, oldest first, whose numbers are greater than `after`.
    async fn journal(&self, after: i64, limit: usize) -> Result<Vec<JournalRow>, StorageError>;

    /// Forgets rows whose links are durable (soft: doing it again does no harm).
    async fn clear_journal(&self, rows: &[i64]) -> Result<(), StorageError>;

    /// What the index says of a link, and the numbers of the journal rows that this settles: one
    /// consistent look.
    async fn link(&self, link: &Link) -> Result<(LinkState, Vec<i64>), StorageError>;

    // Everything, in pages: for fsck, and to hold two indexes against each other.

    /// Every repository that ever held something, in byte order.
    async fn all_repositories(
        &self,
        after: Option<&RepoName>,
        limit: usize,
    ) -> Result<Vec<RepoName>, StorageError>;

    /// Every blob and manifest whose bytes must be there, with its size, in the order of digests.
    async fn all_blobs(
        &self,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Vec<(Digest, u64)>, StorageError>;

    /// The size of a blob or manifest whose bytes must be there, whoever holds it. Never for
    /// answering a request: a blob is visible through repositories only.
    async fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, StorageError>;

    /// Blobs that the repository holds, in the order of digests.
    async fn layers(
        &self,
        repo: &RepoName,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Vec<Digest>, StorageError>;

    /// Manifests of the repository with all that is known of them, in the order of digests.
    async fn revisions(
        &self,
        repo: &RepoName,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Vec<ManifestRecord>, StorageError>;

    /// One of [`Index::revisions`].
    async fn revision(
        &self,
        repo: &RepoName,
        digest: &Digest,
    ) -> Result<Option<ManifestRecord>, StorageError>;

    /// Tags of the repository and what they point to, in byte order.
    async fn tag_targets(
        &self,
        repo: &RepoName,
        after: Option<&Tag>,
        limit: usize,
    ) -> Result<Vec<(Tag, Digest)>, StorageError>;

    /// Counts everything; reads everything.
    async fn census(&self, top: usize) -> Result<Census, StorageError>;

    /// What the engine finds wrong with its own files; reads everything.
    async fn damage(&self) -> Result<Vec<String>, StorageError>;

    // Building anew.

    /// Records what was found in the store, in one transaction (soft). Returns the places in
    /// `facts` of those that were not recorded because what they point to is not there.
    async fn load(&self, facts: Vec<Fact>) -> Result<Vec<usize>, StorageError>;

    /// Notes that the index was built from a store, and makes all that was loaded durable.
    async fn finish_load(&self, now: SystemTime) -> Result<(), StorageError>;
}

/// Most bytes, as JSON, of a page of [`Index::referrers`] that has more than one entry. Annotations can be long, and
/// clients read such a page as they read manifests: many of them no further than 4 MiB.
pub const MAX_REFERRERS_BYTES: usize = 3 << 20;
