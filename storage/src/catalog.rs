//! Manifests, tags and referrers of repositories.

use std::sync::Arc;

use bytes::Bytes;
use oci::{Descriptor, Digest, MediaType, Reference, RepoName, Tag};
use tokio::sync::broadcast::Sender;

use crate::hot::{Boarded, Flights, Hot, Look};
use crate::index::ManifestFacts;
use crate::mirror::Mirror;
use crate::{Blobs, Index, Limits, ObjectStore, Referrers, StorageError, content, layout};

mod change;
mod moves;
mod referrers;

#[cfg(test)]
mod tests;

pub use moves::TagMoved;

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
    /// Manifests that are being read.
    loads: Arc<Flights<(RepoName, Reference), Looks, Loaded>>,
    sparse: Sparse,
    moved: Sender<TagMoved>,
}

/// When a load began, by each cache.
#[derive(Debug, Clone, Copy)]
struct Looks {
    tags: Look,
    manifests: Look,
}

/// What a load came to.
type Loaded = Result<Option<Arc<StoredManifest>>, Arc<StorageError>>;

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
            loads: Arc::new(Flights::new()),
            sparse: limits.sparse,
            moved: moves::sender(),
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
    /// the object, whose bytes are hashed before they are believed. Those who ask at the same time share the reads.
    pub async fn manifest(
        &self,
        repo: &RepoName,
        reference: &Reference,
    ) -> Result<Option<Arc<StoredManifest>>, StorageError> {
        if let Some(manifest) = self.cached(repo, reference) {
            return Ok(Some(manifest));
        }
        let key = (repo.clone(), reference.clone());
        let looks = self.looks();
        let load = {
            let (this, repo, reference) = (self.clone(), repo.clone(), reference.clone());
            async move {
                let loaded = this.load(&repo, &reference, looks).await;
                loaded.map_err(Arc::new)
            }
        };
        let will_do = |began| self.is_unchanged(repo, reference, began);
        let (load, began) = match self.loads.board(key, looks, will_do, load) {
            Boarded::First(load) => return load.await.map_err(|e| StorageError::shared(&e)),
            Boarded::Joined(load, began) => (load, began),
        };
        let loaded = load.await;
        // The manifest behind the tag may have gone, become another type or been mended before this was asked.
        let is_fresh = match &loaded {
            Ok(None) => true,
            Ok(Some(manifest)) => {
                let key = (repo.clone(), manifest.digest);
                self.manifests.is_unchanged(began.manifests, &key)
            }
            Err(_) => self.manifests.look() == began.manifests,
        };
        if is_fresh {
            loaded.map_err(|e| StorageError::shared(&e))
        } else {
            self.load(repo, reference, self.looks()).await
        }
    }

    fn looks(&self) -> Looks {
        Looks {
            tags: self.tags.look(),
            manifests: self.manifests.look(),
        }
    }

    fn is_unchanged(&self, repo: &RepoName, reference: &Reference, began: Looks) -> bool {
        let repo = repo.clone();
        match reference {
            Reference::Tag(tag) => self.tags.is_unchanged(began.tags, &(repo, tag.clone())),
            Reference::Digest(digest) => self
                .manifests
                .is_unchanged(began.manifests, &(repo, *digest)),
        }
    }

    async fn load(
        &self,
        repo: &RepoName,
        reference: &Reference,
        looks: Looks,
    ) -> Result<Option<Arc<StoredManifest>>, StorageError> {
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
            let manifest = self.read_whole(facts).await?;
            self.manifests
                .keep(looks.manifests, key, Arc::clone(&manifest));
            manifest
        };
        if let Reference::Tag(tag) = reference {
            let key = (repo.clone(), tag.clone());
            self.tags.keep(looks.tags, key, manifest.digest);
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
    /// out of its list what is deleted here. The page ends as that of [`Index::referrers`].
    pub async fn referrers(
        &self,
        repo: &RepoName,
        subject: &Digest,
        artifact_type: Option<&str>,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Referrers, StorageError> {
        let indexed = self
            .index
            .referrers(repo, subject, artifact_type, after, limit)
            .await?;
        let fallback = Reference::Tag(Tag::referrers_of(subject));
        let Some(list) = self.manifest(repo, &fallback).await? else {
            return Ok(indexed);
        };
        let wanted = referrers::Wanted::of(subject, artifact_type, after, &indexed);
        // Such a list can be as long as a manifest may be: too long to be read where requests are served.
        let listed = tokio::task::spawn_blocking(move || wanted.listed(&list))
            .await
            .map_err(StorageError::unavailable)?;
        let mut held = Vec::new();
        // No more than one after `limit` can be of use, and the first come first.
        for stride in listed.chunks(STRIDE) {
            held.extend(self.held(repo, stride).await?);
            if held.len() > limit {
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

    async fn read_whole(&self, facts: ManifestFacts) -> Result<Arc<StoredManifest>, StorageError> {
        let digest = facts.digest;
        let bytes = read(&self.store, &digest).await?;
        if Digest::of(digest.algorithm(), &bytes) != digest {
            let what = format!("the bytes of manifest {digest} are others");
            return Err(StorageError::damaged(what));
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
        return Err(StorageError::damaged(what));
    }
    content::bytes(object).await
}
