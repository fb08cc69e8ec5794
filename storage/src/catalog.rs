//! Manifests, tags and referrers of repositories.

use std::sync::Arc;

use bytes::Bytes;
use oci::{Descriptor, Digest, MediaType, Reference, RepoName, Tag};

use crate::hot::Hot;
use crate::index::ManifestFacts;
use crate::mirror::Mirror;
use crate::{Blobs, Index, Limits, ObjectStore, StorageError, content, layout};

mod change;
mod referrers;

#[cfg(test)]
mod tests;

/// What an entry of the cache costs besides the manifest's bytes.
const ENTRY: u64 = 512;
/// The part of the cache's bytes that tags have.
const TAGS_PART: u64 = 16;
/// Listed referrers that are looked for at a time.
const STRIDE: usize = 200;

/// Whether a push may change what existing tags serve: point them elsewhere, or give bytes that are known another media
/// type, which every tag of them would then have.
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
    /// The repository holds these bytes as another media type, and what its tags serve may not be changed.
    #[error("the manifest is known as {0}")]
    OtherType(MediaType),
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
    blobs: Blobs,
    manifests: Arc<Hot<(RepoName, Digest), Arc<StoredManifest>>>,
    /// What tags point to. Apart, so that a manifest with several tags is in memory once, and has one media type.
    tags: Arc<Hot<(RepoName, Tag), Digest>>,
    sparse: Sparse,
}

impl Catalog {
    pub(crate) fn new(
        store: &Arc<dyn ObjectStore>,
        index: &Arc<dyn Index>,
        mirror: &Arc<Mirror>,
        blobs: &Blobs,
        limits: &Limits,
    ) -> Self {
        let bytes = limits.manifest_cache_bytes;
        let weight = |_: &_, manifest: &Arc<StoredManifest>| manifest.bytes.len() as u64 + ENTRY;
        Self {
            store: Arc::clone(store),
            index: Arc::clone(index),
            mirror: Arc::clone(mirror),
            blobs: blobs.clone(),
            manifests: Arc::new(Hot::new(bytes - bytes / TAGS_PART, weight)),
            tags: Arc::new(Hot::new(bytes / TAGS_PART, |_, _| ENTRY)),
            sparse: limits.sparse,
        }
    }

    /// The manifest, if it is in memory. Neither waits nor allocates.
    pub fn cached(&self, repo: &RepoName, reference: &Reference) -> Option<Arc<StoredManifest>> {
        let digest = match reference {
            Reference::Digest(digest) => *digest,
            Reference::Tag(tag) => self.tags.get(&(repo.clone(), tag.clone()))?,
        };
        self.manifests.get(&(repo.clone(), digest))
    }

    /// The manifest that a tag or digest names in the repository: out of memory, or by one read of the index and one of
    /// the object, whose bytes are hashed before they are believed.
    pub async fn manifest(
        &self,
        repo: &RepoName,
        reference: &Reference,
    ) -> Result<Option<Arc<StoredManifest>>, StorageError> {
        if let Some(manifest) = self.cached(repo, reference) {
            return Ok(Some(manifest));
        }
        let looks = (self.tags.look_at(repo), self.manifests.look_at(repo));
        let facts = match reference {
            Reference::Tag(tag) => self.index.tag(repo, tag).await?,
            Reference::Digest(digest) => self.index.manifest(repo, digest).await?,
        };
        let Some(facts) = facts else {
            return Ok(None);
        };
        let key = (repo.clone(), facts.digest);
        // By another name it may be in memory; but one that the index has seen change since must not be taken.
        let kept = self.manifests.get(&key);
        let kept = kept.filter(|kept| kept.media_type == facts.media_type);
        let manifest = if let Some(manifest) = kept {
            manifest
        } else {
            let manifest = self.load(facts).await?;
            self.manifests.keep(looks.1, key, Arc::clone(&manifest));
            manifest
        };
        if let Reference::Tag(tag) = reference {
            let key = (repo.clone(), tag.clone());
            self.tags.keep(looks.0, key, manifest.digest);
        }
        Ok(Some(manifest))
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

    /// Manifests whose subject is `subject`, in the order of their digests' text after `after`; also those that an older
    /// client listed under the subject's fall-back tag, as far as the repository holds them: such a client does not take
    /// out of its list what is deleted here.
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
        let Some(list) = self.manifest(repo, &fallback).await? else {
            return Ok(indexed);
        };
        let mut listed = referrers::listed(&list, subject, artifact_type, after);
        listed.retain(|listed| !indexed.iter().any(|known| known.digest == listed.digest));
        let mut held = Vec::new();
        // No more than `limit` can be wanted, and the first come first.
        for stride in listed.chunks(STRIDE) {
            held.extend(self.held(repo, stride).await?);
            if held.len() >= limit {
                break;
            }
        }
        Ok(referrers::merge(indexed, held, limit))
    }

    async fn held(
        &self,
        repo: &RepoName,
        listed: &[Descriptor],
    ) -> Result<Vec<Descriptor>, StorageError> {
        let digests: Vec<Digest> = listed.iter().map(|listed| listed.digest).collect();
        let held = self.index.held_manifests(repo, &digests).await?;
        let is_held = |listed: &&Descriptor| held.contains(&listed.digest);
        Ok(listed.iter().filter(is_held).cloned().collect())
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
}

/// The bytes of a manifest, unchecked.
pub(crate) async fn read(
    store: &Arc<dyn ObjectStore>,
    digest: &Digest,
) -> Result<Bytes, StorageError> {
    let object = store.get(&layout::blob(digest)).await?;
    let size = object.size;
    if size > oci::MAX_MANIFEST_BYTES as u64 {
        let what = format!("manifest {digest} has {size} bytes, more than any may have");
        return Err(StorageError::Corrupt { what });
    }
    content::bytes(object).await
}
