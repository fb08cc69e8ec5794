//! Manifests, tags and referrers of repositories.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use oci::{Descriptor, Digest, Manifest, MediaType, Reference, RepoName, Tag};

use crate::detached::detached;
use crate::hot::Hot;
use crate::index::{Link, ManifestFacts, NewManifest, PutOutcome};
use crate::mirror::Mirror;
use crate::{Content, Durability, Index, Limits, ObjectStore, StorageError, layout};

mod referrers;

/// What an entry of the cache costs besides the manifest's bytes.
const ENTRY: u64 = 512;

/// Whether a push may point existing tags elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoveTags {
    /// It may.
    Allowed,
    /// It may only make new ones.
    Refused,
}

/// Whether a manifest may name blobs that its repository does not hold
/// (distribution-spec §Pushing Manifests leaves it to the registry).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sparse {
    /// It may: partial mirrors push such images. A pull fails at the blob that is missing.
    Allowed,
    /// It may not.
    Refused,
}

/// A manifest as it was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredManifest {
    /// Its name.
    pub digest: Digest,
    /// How to read it.
    pub media_type: MediaType,
    /// Exactly what was pushed.
    pub bytes: Bytes,
}

/// Why a manifest was not stored. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// The repository does not hold these blobs.
    #[error("blobs are missing")]
    MissingBlobs(Vec<Digest>),
    /// The tag points elsewhere and may not be moved.
    #[error("tag {0} exists")]
    TagExists(Tag),
    /// Storage does not answer.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Manifests, tags and referrers of repositories.
#[derive(Debug, Clone)]
pub struct Catalog {
    store: Arc<dyn ObjectStore>,
    index: Arc<dyn Index>,
    mirror: Arc<Mirror>,
    hot: Arc<Hot<(RepoName, Reference), Arc<StoredManifest>>>,
    sparse: Sparse,
}

impl Catalog {
    pub(crate) fn new(
        store: &Arc<dyn ObjectStore>,
        index: &Arc<dyn Index>,
        mirror: &Arc<Mirror>,
        limits: &Limits,
    ) -> Self {
        Self {
            store: Arc::clone(store),
            index: Arc::clone(index),
            mirror: Arc::clone(mirror),
            hot: Arc::new(Hot::new(limits.manifest_cache_bytes, |_, manifest| {
                manifest.bytes.len() as u64 + ENTRY
            })),
            sparse: limits.sparse,
        }
    }

    /// The manifest, if it is in memory.
    pub fn cached(&self, repo: &RepoName, reference: &Reference) -> Option<Arc<StoredManifest>> {
        self.hot.get(&(repo.clone(), reference.clone()))
    }

    /// The manifest that a tag or digest names in the repository. Its bytes are hashed before they
    /// are believed.
    pub async fn manifest(
        &self,
        repo: &RepoName,
        reference: &Reference,
    ) -> Result<Option<Arc<StoredManifest>>, StorageError> {
        let key = (repo.clone(), reference.clone());
        if let Some(manifest) = self.hot.get(&key) {
            return Ok(Some(manifest));
        }
        let look = self.hot.look(&key);
        let facts = match reference {
            Reference::Tag(tag) => self.index.tag(repo, tag).await?,
            Reference::Digest(digest) => self.index.manifest(repo, digest).await?,
        };
        let Some(facts) = facts else {
            return Ok(None);
        };
        let manifest = self.load(facts).await?;
        self.hot.keep(look, key, Arc::clone(&manifest));
        Ok(Some(manifest))
    }

    /// Stores a manifest and points `tags` at it: all or nothing.
    ///
    /// The blobs that it names must be in the repository, unless the registry takes sparse images;
    /// manifests that it names may come later.
    pub async fn put(
        &self,
        repo: &RepoName,
        manifest: &Manifest,
        tags: &[Tag],
        moves: MoveTags,
        now: SystemTime,
    ) -> Result<(), PutError> {
        let (this, repo) = (self.clone(), repo.clone());
        let (manifest, tags) = (manifest.clone(), tags.to_vec());
        detached(async move { this.put_whole(&repo, &manifest, &tags, moves, now).await }).await
    }

    async fn put_whole(
        &self,
        repo: &RepoName,
        manifest: &Manifest,
        tags: &[Tag],
        moves: MoveTags,
        now: SystemTime,
    ) -> Result<(), PutError> {
        let digest = manifest.digest();
        let bytes = manifest.bytes().clone();
        self.store
            .put(&layout::blob(&digest), bytes, Durability::Now)
            .await
            .map_err(StorageError::from)?;
        let new = NewManifest {
            repo,
            manifest,
            tags,
            moves,
            sparse: self.sparse,
            now,
        };
        match self.index.put_manifest(&new).await? {
            PutOutcome::Done => {}
            PutOutcome::MissingBlobs(digests) => return Err(PutError::MissingBlobs(digests)),
            PutOutcome::TagExists(tag) => return Err(PutError::TagExists(tag)),
        }
        self.changed(repo, Some(&digest), tags);
        Ok(self.settle(repo, Some(&digest), tags).await?)
    }

    /// Forgets a tag; the manifest stays. False: it was not there.
    pub async fn delete_tag(&self, repo: &RepoName, tag: &Tag) -> Result<bool, StorageError> {
        let (this, repo, tag) = (self.clone(), repo.clone(), tag.clone());
        detached(async move {
            let found = this.index.delete_tag(&repo, &tag).await?;
            let tags = [tag];
            this.changed(&repo, None, &tags);
            if found {
                this.settle(&repo, None, &tags).await?;
            }
            Ok(found)
        })
        .await
    }

    /// Forgets a manifest and the tags that point to it. False: it was not there.
    pub async fn delete_manifest(
        &self,
        repo: &RepoName,
        digest: &Digest,
    ) -> Result<bool, StorageError> {
        let (this, repo, digest) = (self.clone(), repo.clone(), *digest);
        detached(async move {
            let Some(tags) = this.index.delete_manifest(&repo, &digest).await? else {
                return Ok(false);
            };
            this.changed(&repo, Some(&digest), &tags);
            // Roots before leaves: the tags' links go first.
            this.settle(&repo, None, &tags).await?;
            this.settle(&repo, Some(&digest), &[]).await?;
            Ok(true)
        })
        .await
    }

    /// Tags in byte order after `last`. `None`: there is no such repository.
    pub async fn tags(
        &self,
        repo: &RepoName,
        last: Option<&str>,
        limit: usize,
    ) -> Result<Option<Vec<Tag>>, StorageError> {
        self.index.tags(repo, last, limit).await
    }

    /// Repositories that hold a manifest, in byte order after `last`.
    pub async fn repositories(
        &self,
        last: Option<&str>,
        limit: usize,
    ) -> Result<Vec<RepoName>, StorageError> {
        self.index.repositories(last, limit).await
    }

    async fn load(&self, facts: ManifestFacts) -> Result<Arc<StoredManifest>, StorageError> {
        let digest = facts.digest;
        let bytes = read(&self.store, &digest).await?;
        if Digest::of(digest.algorithm(), &bytes) != digest {
            let what = format!("the bytes of manifest {digest} are others");
            return Err(StorageError::Corrupt { what });
        }
        Ok(Arc::new(StoredManifest {
            digest,
            media_type: facts.media_type,
            bytes,
        }))
    }

    fn changed(&self, repo: &RepoName, digest: Option<&Digest>, tags: &[Tag]) {
        let digest = digest.map(|digest| Reference::Digest(*digest));
        let tags = tags.iter().map(|tag| Reference::Tag(tag.clone()));
        for reference in digest.into_iter().chain(tags) {
            self.hot.invalidate(&(repo.clone(), reference));
        }
    }

    /// Leaves before roots: the revision's link, then the tags'.
    async fn settle(
        &self,
        repo: &RepoName,
        digest: Option<&Digest>,
        tags: &[Tag],
    ) -> Result<(), StorageError> {
        let revision = digest.map(|digest| Link::Revision(repo.clone(), *digest));
        let tags = tags.iter().map(|tag| Link::Tag(repo.clone(), tag.clone()));
        let links: Vec<Link> = revision.into_iter().chain(tags).collect();
        self.mirror.settle(&links).await
    }

    /// Manifests whose subject is `subject`, in the order of their digests' text after `after`;
    /// also those that an older client listed under the subject's fall-back tag.
    pub async fn referrers(
        &self,
        repo: &RepoName,
        subject: &Digest,
        artifact_type: Option<&str>,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Vec<Descriptor>, StorageError> {
        let indexed = self
            .index
            .referrers(repo, subject, artifact_type, after, limit)
            .await?;
        let fallback = Reference::Tag(Tag::referrers_of(subject));
        let listed = match self.manifest(repo, &fallback).await? {
            Some(list) => referrers::listed(&list, subject, artifact_type, after),
            None => Vec::new(),
        };
        Ok(referrers::merge(indexed, listed, limit))
    }
}

/// The bytes of a manifest, unchecked.
pub(crate) async fn read(
    store: &Arc<dyn ObjectStore>,
    digest: &Digest,
) -> Result<Bytes, StorageError> {
    let object = store.get(&layout::blob(digest)).await?;
    match object.content {
        Content::Bytes(bytes) => Ok(bytes),
        Content::File(file) => {
            let size = object.size;
            if size > oci::MAX_MANIFEST_BYTES as u64 {
                let what = format!("manifest {digest} has {size} bytes, more than any may have");
                return Err(StorageError::Corrupt { what });
            }
            tokio::task::spawn_blocking(move || read_file(&file, size))
                .await
                .map_err(StorageError::unavailable)?
                .map_err(StorageError::unavailable)
        }
    }
}

fn read_file(file: &File, size: u64) -> std::io::Result<Bytes> {
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes.into())
}
