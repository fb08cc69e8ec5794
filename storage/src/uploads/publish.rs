//! Giving received bytes their name.

use oci::{Algorithm, Digest, RepoName, UploadId};

use super::{UploadError, Uploads};
use crate::audit::Cause;
use crate::{Key, Progress, StorageError, StoreError, content, layout};

/// Bytes that have no name yet.
pub(super) struct Staged<'a> {
    pub(super) repo: &'a RepoName,
    pub(super) key: Key,
    /// Ends when they get their name.
    pub(super) session: Option<&'a UploadId>,
}

impl Uploads {
    /// Gives staged bytes their name, if it is theirs, and links them into the repository.
    pub(super) async fn publish(
        &self,
        staged: &Staged<'_>,
        digest: &Digest,
        progress: &Progress,
        cause: &Cause,
    ) -> Result<u64, UploadError> {
        let size = progress.offset;
        let got = match progress.hashers.finish(digest.algorithm()) {
            Some(got) => Some(got),
            None => self.rehash(&staged.key, digest.algorithm()).await?,
        };
        match got {
            Some(got) if got != *digest => return Err(UploadError::DigestMismatch { got }),
            Some(_) => match self.store.publish(&staged.key, &layout::blob(digest)).await {
                Err(StoreError::NotFound(_)) => self.published_before(digest, progress).await?,
                other => other.map_err(StorageError::from)?,
            },
            None => self.published_before(digest, progress).await?,
        }
        self.blobs
            .link(staged.repo, digest, size, staged.session, cause)
            .await?;
        Ok(size)
    }

    /// The bytes of a session are gone. Either they are lost, or an earlier request gave them their name and was then kept
    /// from recording it: then the client, which did send them, tries again and must find them. Hashed also as they were
    /// while they came: a digest alone must not give anybody what others have stored under it.
    async fn published_before(
        &self,
        digest: &Digest,
        progress: &Progress,
    ) -> Result<(), UploadError> {
        let object = match self.store.get(&layout::blob(digest)).await {
            Err(StoreError::NotFound(_)) => return Err(UploadError::Unknown),
            other => other.map_err(StorageError::from)?,
        };
        let hashers = &progress.hashers;
        let mut wanted: Vec<Digest> = hashers
            .algorithms()
            .filter_map(|algorithm| hashers.finish(algorithm))
            .collect();
        wanted.push(*digest);
        for digest in wanted {
            let found = content::digest(object.clone(), digest.algorithm()).await?;
            if object.size != progress.offset || found != digest {
                return Err(UploadError::Unknown);
            }
        }
        Ok(())
    }

    /// The hash of staged bytes by an algorithm that nobody had announced; `None` if they are gone. Keeping every
    /// algorithm's hash while receiving would make all pushes pay for the few that need this.
    async fn rehash(
        &self,
        staged: &Key,
        algorithm: Algorithm,
    ) -> Result<Option<Digest>, StorageError> {
        match self.store.get(staged).await {
            Err(StoreError::NotFound(_)) => Ok(None),
            other => Ok(Some(content::digest(other?, algorithm).await?)),
        }
    }
}
