//! The seam, method by method: which statements, on which side, and how durable.

use std::time::SystemTime;

use async_trait::async_trait;
use oci::{Digest, RepoName, Tag, UploadId};

use super::column::text;
use super::writer::{Sync, Writer};
use super::{SqliteIndex, audit, blobs, census, journal, lists, load, manifests, uploads};
use crate::StorageError;
use crate::audit::{Cause, Verb};
use crate::index::{
    Census, Fact, Index, JournalRow, Link, LinkState, ManifestFacts, ManifestRecord, NewManifest,
    PutOutcome, Referrers, Session, Unlink,
};

#[async_trait]
impl Index for SqliteIndex {
    async fn ping(&self) -> Result<(), StorageError> {
        self.read(|c| c.query_row("SELECT 1", [], |_| Ok(()))).await
    }

    fn takes_writes(&self) -> bool {
        self.writer.as_ref().is_some_and(Writer::takes_writes)
    }

    async fn is_new(&self) -> Result<bool, StorageError> {
        self.read(load::is_new).await
    }

    async fn blob(&self, repo: &RepoName, digest: &Digest) -> Result<Option<u64>, StorageError> {
        let (repo, digest) = (repo.clone(), *digest);
        self.read(move |c| blobs::size(c, &repo, &digest)).await
    }

    async fn link_blob(
        &self,
        repo: &RepoName,
        digest: &Digest,
        size: u64,
        session: Option<&UploadId>,
        cause: &Cause,
    ) -> Result<(), StorageError> {
        let (repo, digest, session) = (repo.clone(), *digest, session.copied());
        let cause = cause.clone();
        self.write(Sync::Durable, move |c| {
            blobs::link(c, &repo, &digest, size, cause.at())?;
            session.map(|id| uploads::delete(c, &id)).transpose()?;
            audit::Change::of(Verb::Upload, &repo)
                .with(&digest, None)
                .record(c, &cause)
        })
        .await
    }

    async fn mount_blob(
        &self,
        into: &RepoName,
        from: &RepoName,
        digest: &Digest,
        cause: &Cause,
    ) -> Result<Option<u64>, StorageError> {
        let (into, from, digest, cause) = (into.clone(), from.clone(), *digest, cause.clone());
        self.write(Sync::Durable, move |c| {
            let size = blobs::size(c, &from, &digest)?;
            if let Some(size) = size {
                blobs::link(c, &into, &digest, size, cause.at())?;
                audit::Change::of(Verb::Mount, &into)
                    .with(&digest, Some(format!("from {from}")))
                    .record(c, &cause)?;
            }
            Ok(size)
        })
        .await
    }

    async fn unlink_blob(
        &self,
        repo: &RepoName,
        digest: &Digest,
        cause: &Cause,
    ) -> Result<Unlink, StorageError> {
        let (repo, digest, cause) = (repo.clone(), *digest, cause.clone());
        self.write(Sync::Durable, move |c| {
            let unlinked = blobs::unlink(c, &repo, &digest)?;
            if unlinked == Unlink::Done {
                audit::Change::of(Verb::Delete, &repo)
                    .with(&digest, Some("blob".to_owned()))
                    .record(c, &cause)?;
            }
            Ok(unlinked)
        })
        .await
    }

    async fn missing_blobs(
        &self,
        repo: &RepoName,
        digests: &[Digest],
    ) -> Result<Vec<Digest>, StorageError> {
        let (repo, digests) = (repo.clone(), digests.to_vec());
        self.read(move |c| blobs::missing(c, &repo, &digests)).await
    }

    async fn holders(
        &self,
        digest: &Digest,
        after: Option<&RepoName>,
        limit: usize,
    ) -> Result<Vec<RepoName>, StorageError> {
        let (digest, after) = (*digest, text(after));
        self.read(move |c| blobs::holders(c, &digest, &after, limit))
            .await
    }

    async fn create_upload(&self, session: &Session, most: usize) -> Result<bool, StorageError> {
        let session = session.clone();
        self.write(Sync::Soft, move |c| uploads::create(c, &session, most))
            .await
    }

    async fn upload(&self, id: &UploadId) -> Result<Option<Session>, StorageError> {
        let id = *id;
        self.read(move |c| uploads::find(c, &id)).await
    }

    async fn checkpoint_upload(
        &self,
        id: &UploadId,
        offset: u64,
        hashers: &[u8],
        now: SystemTime,
    ) -> Result<bool, StorageError> {
        let (id, hashers) = (*id, hashers.to_vec());
        self.write(Sync::Soft, move |c| {
            uploads::checkpoint(c, &id, offset, &hashers, now)
        })
        .await
    }

    async fn delete_upload(&self, id: &UploadId) -> Result<bool, StorageError> {
        let id = *id;
        self.write(Sync::Soft, move |c| uploads::delete(c, &id))
            .await
    }

    async fn idle_uploads(
        &self,
        idle_since: SystemTime,
        limit: usize,
    ) -> Result<Vec<(UploadId, RepoName)>, StorageError> {
        self.read(move |c| uploads::idle(c, idle_since, limit))
            .await
    }

    async fn put_manifest(&self, new: &NewManifest<'_>) -> Result<PutOutcome, StorageError> {
        let push = manifests::Push::of(new);
        self.write(Sync::Durable, move |c| push.apply(c)).await
    }

    async fn tag(&self, repo: &RepoName, tag: &Tag) -> Result<Option<ManifestFacts>, StorageError> {
        let (repo, tag) = (repo.clone(), tag.clone());
        self.read(move |c| manifests::by_tag(c, &repo, &tag)).await
    }

    async fn manifest(
        &self,
        repo: &RepoName,
        digest: &Digest,
    ) -> Result<Option<ManifestFacts>, StorageError> {
        let (repo, digest) = (repo.clone(), *digest);
        self.read(move |c| manifests::by_digest(c, &repo, &digest))
            .await
    }

    async fn held_manifests(
        &self,
        repo: &RepoName,
        digests: &[Digest],
    ) -> Result<Vec<Digest>, StorageError> {
        let (repo, digests) = (repo.clone(), digests.to_vec());
        self.read(move |c| manifests::held(c, &repo, &digests))
            .await
    }

    async fn delete_tag(
        &self,
        repo: &RepoName,
        tag: &Tag,
        cause: &Cause,
    ) -> Result<bool, StorageError> {
        let (repo, tag, cause) = (repo.clone(), tag.clone(), cause.clone());
        self.write(Sync::Durable, move |c| {
            manifests::delete_tag(c, &repo, &tag, &cause)
        })
        .await
    }

    async fn delete_manifest(
        &self,
        repo: &RepoName,
        digest: &Digest,
        cause: &Cause,
    ) -> Result<Option<Vec<Tag>>, StorageError> {
        let (repo, digest, cause) = (repo.clone(), *digest, cause.clone());
        self.write(Sync::Durable, move |c| {
            manifests::delete(c, &repo, &digest, &cause)
        })
        .await
    }

    async fn tags(
        &self,
        repo: &RepoName,
        last: Option<&str>,
        limit: usize,
    ) -> Result<Option<Vec<Tag>>, StorageError> {
        let (repo, last) = (repo.clone(), last.unwrap_or_default().to_owned());
        self.read(move |c| lists::tags(c, &repo, &last, limit))
            .await
    }

    async fn repositories(
        &self,
        last: Option<&str>,
        limit: usize,
    ) -> Result<Vec<RepoName>, StorageError> {
        let last = last.unwrap_or_default().to_owned();
        self.read(move |c| lists::repositories(c, &last, limit))
            .await
    }

    async fn referrers(
        &self,
        repo: &RepoName,
        subject: &Digest,
        artifact_type: Option<&str>,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Referrers, StorageError> {
        let (repo, subject, after) = (repo.clone(), *subject, text(after));
        let artifact_type = artifact_type.map(str::to_owned);
        self.read(move |c| {
            lists::referrers(c, &repo, &subject, artifact_type.as_deref(), &after, limit)
        })
        .await
    }

    async fn journal(&self, after: i64, limit: usize) -> Result<Vec<JournalRow>, StorageError> {
        self.read(move |c| journal::list(c, after, limit)).await
    }

    async fn clear_journal(&self, rows: &[i64]) -> Result<(), StorageError> {
        let rows = rows.to_vec();
        self.write(Sync::Soft, move |c| journal::clear(c, &rows))
            .await
    }

    async fn link(&self, link: &Link) -> Result<(LinkState, Vec<i64>), StorageError> {
        let link = link.clone();
        self.read(move |c| journal::state(c, &link)).await
    }

    async fn all_repositories(
        &self,
        after: Option<&RepoName>,
        limit: usize,
    ) -> Result<Vec<RepoName>, StorageError> {
        let after = text(after);
        self.read(move |c| lists::all_repositories(c, &after, limit))
            .await
    }

    async fn all_blobs(
        &self,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Vec<(Digest, u64)>, StorageError> {
        let after = text(after);
        self.read(move |c| blobs::all(c, &after, limit)).await
    }

    async fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, StorageError> {
        let digest = *digest;
        self.read(move |c| blobs::stored(c, &digest)).await
    }

    async fn layers(
        &self,
        repo: &RepoName,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Vec<Digest>, StorageError> {
        let (repo, after) = (repo.clone(), text(after));
        self.read(move |c| blobs::of_repository(c, &repo, &after, limit))
            .await
    }

    async fn revisions(
        &self,
        repo: &RepoName,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Vec<ManifestRecord>, StorageError> {
        let (repo, after) = (repo.clone(), text(after));
        self.read(move |c| manifests::records(c, &repo, &after, limit))
            .await
    }

    async fn revision(
        &self,
        repo: &RepoName,
        digest: &Digest,
    ) -> Result<Option<ManifestRecord>, StorageError> {
        let (repo, digest) = (repo.clone(), *digest);
        self.read(move |c| manifests::record(c, &repo, &digest))
            .await
    }

    async fn tag_targets(
        &self,
        repo: &RepoName,
        after: Option<&Tag>,
        limit: usize,
    ) -> Result<Vec<(Tag, Digest)>, StorageError> {
        let (repo, after) = (repo.clone(), text(after));
        self.read(move |c| lists::tag_targets(c, &repo, &after, limit))
            .await
    }

    async fn census(&self, top: usize) -> Result<Census, StorageError> {
        self.read(move |c| census::census(c, top)).await
    }

    async fn damage(&self) -> Result<Vec<String>, StorageError> {
        self.read(census::damage).await
    }

    async fn load(&self, facts: Vec<Fact>) -> Result<Vec<usize>, StorageError> {
        self.write(Sync::Soft, move |c| load::load(c, &facts)).await
    }

    async fn finish_load(&self, now: SystemTime) -> Result<(), StorageError> {
        self.write(Sync::Durable, move |c| load::finish(c, now))
            .await
    }
}
