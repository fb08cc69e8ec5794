//! One object and what it says.

use std::sync::Arc;

use oci::{Algorithm, Digest, Manifest, MediaType, RepoName, Tag};

use super::finding::Finding;
use super::places::Located;
use crate::index::{Fact, Link};
use crate::layout::Place;
use crate::{Key, Meta, ObjectStore, StorageError, StoreError, content, layout};

/// Longest link or media type that is read; both are far shorter.
const MAX_TEXT: u64 = 1 << 10;

/// What an object says, and what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) objects: u64,
    pub(super) facts: Vec<Fact>,
    pub(super) findings: Vec<Finding>,
}

impl Found {
    fn fact(mut self, fact: Fact) -> Self {
        self.facts.push(fact);
        self
    }

    fn finding(mut self, finding: Finding) -> Self {
        self.findings.push(finding);
        self
    }

    /// A link that does not say what its name says: its name is believed, as only a push of just that digest made it.
    fn damaged_link(self, key: &Key, link: Link) -> Self {
        let key = key.to_string();
        self.finding(Finding::DamagedLink { key })
            .fact(Fact::Stale(link))
    }
}

/// Reads objects.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) deep: bool,
}

impl Reader {
    /// Understands one object. An object that has gone since it was listed says nothing.
    pub(super) async fn read(&self, located: Located) -> Result<Found, StorageError> {
        let Located {
            meta,
            place,
            beside,
        } = located;
        let found = Found {
            objects: 1 + u64::from(beside.is_some()),
            ..Found::default()
        };
        match place {
            Some(Place::Blob(digest)) => self.blob(found, digest, meta.size).await,
            Some(Place::Layer(repo, digest)) => self.layer(found, &meta, repo, digest).await,
            Some(Place::Revision(repo, digest)) => {
                self.revision(found, &meta, beside, repo, digest).await
            }
            Some(Place::TagCurrent(repo, tag)) => self.tag(found, &meta, repo, tag).await,
            // What a tag pointed to before is nothing that is served; uploads are begun again.
            Some(Place::TagIndex(..) | Place::Upload(..)) => Ok(found),
            Some(Place::MediaType(..)) | None => {
                let key = meta.key.to_string();
                Ok(found.finding(Finding::UnknownObject { key }))
            }
        }
    }

    async fn blob(&self, found: Found, digest: Digest, size: u64) -> Result<Found, StorageError> {
        if size == 0 && Digest::of(digest.algorithm(), b"") != digest {
            return Ok(found.finding(Finding::EmptyBlob { digest }));
        }
        if self.deep {
            let object = self.store.get(&layout::blob(&digest)).await?;
            let actual = content::digest(object, digest.algorithm()).await?;
            if actual != digest {
                let found_digest = actual;
                return Ok(found.finding(Finding::DamagedBlob {
                    digest,
                    found: found_digest,
                }));
            }
        }
        Ok(found.fact(Fact::Blob { digest, size }))
    }

    async fn layer(
        &self,
        mut found: Found,
        meta: &Meta,
        repo: RepoName,
        digest: Digest,
    ) -> Result<Found, StorageError> {
        if !self.says(meta, &digest).await? {
            found = found.damaged_link(&meta.key, Link::Layer(repo.clone(), digest));
        }
        Ok(found.fact(Fact::Layer { repo, digest }))
    }

    async fn revision(
        &self,
        mut found: Found,
        meta: &Meta,
        beside: Option<Meta>,
        repo: RepoName,
        digest: Digest,
    ) -> Result<Found, StorageError> {
        if !self.says(meta, &digest).await? {
            found = found.damaged_link(&meta.key, Link::Revision(repo.clone(), digest));
        }
        let object = match self.store.get(&layout::blob(&digest)).await {
            Ok(object) => object,
            Err(StoreError::NotFound(_)) => {
                return Ok(found.finding(Finding::ManifestWithoutBytes { repo, digest }));
            }
            Err(error) => return Err(error.into()),
        };
        let unreadable = |why: String| Finding::UnreadableManifest {
            repo: repo.clone(),
            digest,
            why,
        };
        if object.size > oci::MAX_MANIFEST_BYTES as u64 {
            return Ok(found.finding(unreadable(format!("it has {} bytes", object.size))));
        }
        let bytes = content::bytes(object).await?;
        let said = match beside {
            Some(beside) => self.media_type(&beside).await?,
            None => None,
        };
        let Some(media_type) = said.or_else(|| oci::inferred_media_type(&bytes)) else {
            return Ok(found.finding(unreadable("nothing tells its media type".to_owned())));
        };
        match Manifest::parse(bytes, Some(&media_type), digest) {
            Ok(manifest) => {
                let manifest = Box::new(manifest);
                Ok(found.fact(Fact::Manifest { repo, manifest }))
            }
            Err(error) => Ok(found.finding(unreadable(error.to_string()))),
        }
    }

    async fn tag(
        &self,
        found: Found,
        meta: &Meta,
        repo: RepoName,
        tag: Tag,
    ) -> Result<Found, StorageError> {
        let text = self.text(meta).await?;
        match text.as_deref().map(|text| Digest::parse(text.trim())) {
            Some(Ok(digest)) => Ok(found.fact(Fact::Tag { repo, tag, digest })),
            _ => Ok(found.finding(Finding::UnreadableTag { repo, tag })),
        }
    }

    /// Whether a link holds the digest that its name holds.
    ///
    /// Only the length is looked at, unless it is other than expected: there are as many links as blobs, and a link is
    /// written as a whole or, by a crash of Distribution, not at all.
    async fn says(&self, meta: &Meta, digest: &Digest) -> Result<bool, StorageError> {
        if !self.deep && meta.size == length(digest) {
            return Ok(true);
        }
        let text = self.text(meta).await?;
        Ok(text.is_some_and(|text| text.trim() == digest.to_string()))
    }

    async fn media_type(&self, beside: &Meta) -> Result<Option<MediaType>, StorageError> {
        let text = self.text(beside).await?;
        Ok(text.and_then(|text| MediaType::parse(text.trim()).ok()))
    }

    async fn text(&self, meta: &Meta) -> Result<Option<String>, StorageError> {
        if meta.size > MAX_TEXT {
            return Ok(None);
        }
        match self.store.get(&meta.key).await {
            Ok(object) => {
                let bytes = content::bytes(object).await?;
                Ok(String::from_utf8(bytes.into()).ok())
            }
            Err(StoreError::NotFound(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn length(digest: &Digest) -> u64 {
    let hex = match digest.algorithm() {
        Algorithm::Sha256 => 64,
        Algorithm::Sha512 => 128,
    };
    "sha256:".len() as u64 + hex
}
