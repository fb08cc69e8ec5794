//! Pushing and deleting manifests and tags.
//!
//! Each runs detached: between the commit, the memory and the links it must not stop because a client went away.

use oci::{Digest, Manifest, RepoName, Tag};

use super::{Catalog, MoveTags, PutError, Sparse};
use crate::audit::Cause;
use crate::detached::detached;
use crate::index::{Link, NewManifest, PutOutcome};
use crate::{Durability, StorageError, layout};

impl Catalog {
    /// Stores a manifest and points `tags` at it: all or nothing.
    ///
    /// The blobs that it names must be in the repository, unless sparse manifests are allowed; manifests that it names
    /// may come later. Pushing what is there again is fine, and replaces its bytes, should they be damaged.
    pub async fn put(
        &self,
        repo: &RepoName,
        manifest: &Manifest,
        tags: &[Tag],
        moves: MoveTags,
        cause: impl Into<Cause>,
    ) -> Result<(), PutError> {
        let (this, repo, cause) = (self.clone(), repo.clone(), cause.into());
        let (manifest, tags) = (manifest.clone(), tags.to_vec());
        detached(async move {
            let new = NewManifest {
                repo: &repo,
                manifest: &manifest,
                tags: &tags,
                moves,
                sparse: this.sparse,
                cause: &cause,
            };
            this.put_whole(&new).await
        })
        .await
    }

    async fn put_whole(&self, new: &NewManifest<'_>) -> Result<(), PutError> {
        self.check(new).await?;
        let &NewManifest {
            repo,
            manifest,
            tags,
            ..
        } = new;
        let digest = manifest.digest();
        let bytes = manifest.bytes().clone();
        self.store
            .put(&layout::blob(&digest), bytes, Durability::Now)
            .await
            .map_err(StorageError::from)?;
        // A repository may hold the same bytes as a blob.
        self.blobs.replaced(&digest);
        {
            let _manifest_change = self.manifests.change(&(repo.clone(), digest));
            let tag_change = |tag: &Tag| self.tags.change(&(repo.clone(), tag.clone()));
            let _tag_changes: Vec<_> = tags.iter().map(tag_change).collect();
            match self.index.put_manifest(new).await? {
                PutOutcome::Done => {}
                PutOutcome::MissingBlobs(digests) => return Err(PutError::MissingBlobs(digests)),
                PutOutcome::TagExists(tag) => return Err(PutError::TagExists(tag)),
                PutOutcome::OtherType(known) => return Err(PutError::OtherType(known)),
            }
        }
        self.tell(repo, tags, digest);
        // Leaves before roots: the revision's link, then the tags'.
        let revision = Link::Revision(repo.clone(), digest);
        let tags = tags.iter().map(|tag| Link::Tag(repo.clone(), tag.clone()));
        let links: Vec<Link> = [revision].into_iter().chain(tags).collect();
        self.mirror.settle_push(&links, manifest).await;
        Ok(())
    }

    /// Refuses early what the transaction would refuse, so that refused pushes do not fill the disk with manifests that
    /// nobody holds. The transaction decides all the same: this may be out of date by then.
    async fn check(&self, new: &NewManifest<'_>) -> Result<(), PutError> {
        if new.sparse == Sparse::Refused {
            let blobs: Vec<Digest> = new.manifest.required_blobs().map(|b| b.digest).collect();
            let missing = self.index.missing_blobs(new.repo, &blobs).await?;
            if !missing.is_empty() {
                return Err(PutError::MissingBlobs(missing));
            }
        }
        if new.moves == MoveTags::Refused {
            for tag in new.tags {
                let there = self.index.tag(new.repo, tag).await?;
                if there.is_some_and(|there| there.digest != new.manifest.digest()) {
                    return Err(PutError::TagExists(tag.clone()));
                }
            }
            let digest = new.manifest.digest();
            let there = self.index.manifest(new.repo, &digest).await?;
            if let Some(there) = there.filter(|it| it.media_type != *new.manifest.media_type()) {
                return Err(PutError::OtherType(there.media_type));
            }
        }
        Ok(())
    }

    /// Forgets a tag; the manifest stays. False: it was not there.
    pub async fn delete_tag(
        &self,
        repo: &RepoName,
        tag: &Tag,
        cause: impl Into<Cause>,
    ) -> Result<bool, StorageError> {
        let (this, repo, tag) = (self.clone(), repo.clone(), tag.clone());
        let cause = cause.into();
        detached(async move {
            let found = {
                let _change = this.tags.change(&(repo.clone(), tag.clone()));
                this.index.delete_tag(&repo, &tag, &cause).await?
            };
            if found {
                this.mirror.settle(&[Link::Tag(repo, tag)]).await;
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
        cause: impl Into<Cause>,
    ) -> Result<bool, StorageError> {
        let (this, repo, digest) = (self.clone(), repo.clone(), *digest);
        let cause = cause.into();
        detached(async move {
            let freed = {
                // Which tags go is known only after the commit. Until then their entries lead nowhere in memory, as nothing
                // is kept of the manifest; and whoever shares a load asks also whether its manifest has changed.
                let _change = this.manifests.change(&(repo.clone(), digest));
                let freed = this.index.delete_manifest(&repo, &digest, &cause).await?;
                for tag in freed.iter().flatten() {
                    this.tags.invalidate(&(repo.clone(), tag.clone()));
                }
                freed
            };
            let Some(freed) = freed else {
                return Ok(false);
            };
            // Roots before leaves: the tags' links go first.
            let tags = freed.into_iter().map(|tag| Link::Tag(repo.clone(), tag));
            let revision = Link::Revision(repo.clone(), digest);
            let links: Vec<Link> = tags.chain([revision]).collect();
            this.mirror.settle(&links).await;
            Ok(true)
        })
        .await
    }
}
