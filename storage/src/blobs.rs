//! Blobs, as repositories hold them. There is no way to a blob but through a repository.

use std::sync::Arc;

use oci::{Digest, RepoName};

use crate::audit::Cause;
use crate::detached::detached;
use crate::hot::Hot;
use crate::index::Link;
use crate::mirror::Mirror;
use crate::{Index, Object, ObjectStore, StorageError, Unlink, layout};

/// Open files kept at hand, at most.
const HANDLES: u64 = 512;
/// … and no more than this part of what the process may have open, for connections need handles too.
const HANDLES_PART: u64 = 8;
/// Links kept in memory, about 200 bytes each.
const LINKS: u64 = 20_000;

/// Blobs of repositories.
#[derive(Debug, Clone)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    index: Arc<dyn Index>,
    mirror: Arc<Mirror>,
    /// Sizes of blobs, by the repository that holds them.
    links: Arc<Hot<(RepoName, Digest), u64>>,
    /// Opened bytes. Only ever asked after a link was found, so they show nobody anything.
    handles: Arc<Hot<Digest, Object>>,
}

impl Blobs {
    pub(crate) fn new(
        store: &Arc<dyn ObjectStore>,
        index: &Arc<dyn Index>,
        mirror: &Arc<Mirror>,
    ) -> Self {
        Self {
            store: Arc::clone(store),
            index: Arc::clone(index),
            mirror: Arc::clone(mirror),
            links: Arc::new(Hot::new(LINKS, |_, _| 1)),
            handles: Arc::new(Hot::new(handles(), |_, _| 1)),
        }
    }

    /// The blob's size, if the repository holds it and its bytes are there.
    ///
    /// Clients ask this before they push, and send nothing if the answer is yes. So bytes that are missing or of another
    /// size are not there, although opening them is an error: the push that follows mends them.
    pub async fn stat(
        &self,
        repo: &RepoName,
        digest: &Digest,
    ) -> Result<Option<u64>, StorageError> {
        let Some(size) = self.held(repo, digest).await? else {
            return Ok(None);
        };
        match self.opened(repo, digest, size).await {
            Ok(object) => Ok(Some(object.size)),
            Err(StorageError::Corrupt { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The size that the index says.
    async fn held(&self, repo: &RepoName, digest: &Digest) -> Result<Option<u64>, StorageError> {
        let key = (repo.clone(), *digest);
        if let Some(size) = self.links.get(&key) {
            return Ok(Some(size));
        }
        let look = self.links.look();
        let size = self.index.blob(repo, digest).await?;
        if let Some(size) = size {
            self.links.keep(look, key, size);
        }
        Ok(size)
    }

    /// The blob, opened, if the repository holds it.
    pub async fn open(
        &self,
        repo: &RepoName,
        digest: &Digest,
    ) -> Result<Option<Object>, StorageError> {
        match self.held(repo, digest).await? {
            Some(size) => self.opened(repo, digest, size).await.map(Some),
            None => Ok(None),
        }
    }

    async fn opened(
        &self,
        repo: &RepoName,
        digest: &Digest,
        size: u64,
    ) -> Result<Object, StorageError> {
        if let Some(object) = self.handles.get(digest) {
            return Ok(object);
        }
        let look = self.handles.look();
        let object = self.store.get(&layout::blob(digest)).await?;
        if object.size != size {
            // A push to another repository may have mended what was damaged when this size was kept.
            self.links.invalidate(&(repo.clone(), *digest));
            let size = self.index.blob(repo, digest).await?;
            if size != Some(object.size) {
                let what = format!(
                    "blob {digest} has {} bytes, instead of {size:?}",
                    object.size
                );
                return Err(StorageError::damaged(what));
            }
        }
        self.handles.keep(look, *digest, object.clone());
        Ok(object)
    }

    /// Makes a blob of `from` one of `into` too, where it is none yet. False: `from` does not hold it, or its bytes are damaged
    /// and must be sent.
    pub async fn mount(
        &self,
        into: &RepoName,
        from: &RepoName,
        digest: &Digest,
        cause: impl Into<Cause>,
    ) -> Result<bool, StorageError> {
        let (this, cause) = (self.clone(), cause.into());
        let (into, from, digest) = (into.clone(), from.clone(), *digest);
        detached(async move {
            if this.stat(&from, &digest).await?.is_none() {
                return Ok(false);
            }
            if this.stat(&into, &digest).await?.is_some() {
                return Ok(true);
            }
            let mounted = this.index.mount_blob(&into, &from, &digest, &cause).await?;
            if mounted.is_some() {
                this.settle(&into, &digest).await;
            }
            Ok(mounted.is_some())
        })
        .await
    }

    /// Repositories that hold the blob. For mounting: whoever shows them must ask what the
    /// caller may see.
    pub async fn holders(
        &self,
        digest: &Digest,
        after: Option<&RepoName>,
        limit: usize,
    ) -> Result<Vec<RepoName>, StorageError> {
        self.index.holders(digest, after, limit).await
    }

    /// Takes the blob out of the repository. Its bytes stay: other repositories may hold it.
    pub async fn unlink(
        &self,
        repo: &RepoName,
        digest: &Digest,
        cause: impl Into<Cause>,
    ) -> Result<Unlink, StorageError> {
        let (this, repo, digest) = (self.clone(), repo.clone(), *digest);
        let cause = cause.into();
        detached(async move {
            let unlinked = {
                let _change = this.links.change(&(repo.clone(), digest));
                this.index.unlink_blob(&repo, &digest, &cause).await?
            };
            if unlinked == Unlink::Done {
                this.settle(&repo, &digest).await;
            }
            Ok(unlinked)
        })
        .await
    }

    /// Records a blob whose bytes have just been put in place. Call it detached.
    pub(crate) async fn link(
        &self,
        repo: &RepoName,
        digest: &Digest,
        size: u64,
        session: Option<&oci::UploadId>,
        cause: &Cause,
    ) -> Result<(), StorageError> {
        // Also should the index fail now.
        self.replaced(digest);
        {
            // The size in memory may be that of damaged bytes which an index was built from.
            let _change = self.links.change(&(repo.clone(), *digest));
            self.index
                .link_blob(repo, digest, size, session, cause)
                .await?;
        }
        self.settle(repo, digest).await;
        Ok(())
    }

    /// The bytes of this digest have been put in place anew: a handle from before would go on serving the old ones, which
    /// may have been damaged.
    pub(crate) fn replaced(&self, digest: &Digest) {
        self.handles.invalidate(digest);
    }

    async fn settle(&self, repo: &RepoName, digest: &Digest) {
        let link = Link::Layer(repo.clone(), *digest);
        self.mirror.settle(&[link]).await;
    }
}

fn handles() -> u64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.map_or(HANDLES, |limit| (limit / HANDLES_PART).clamp(1, HANDLES))
}
