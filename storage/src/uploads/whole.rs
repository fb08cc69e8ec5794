//! A blob in one request.

use oci::{Digest, Hashers, RepoName};

use super::publish::Staged;
use super::receive::check_length;
use super::{UploadError, Uploads, new_id};
use crate::audit::Cause;
use crate::{ByteStream, Key, Progress, layout};

impl Uploads {
    pub(super) async fn receive_whole(
        &self,
        repo: &RepoName,
        digest: &Digest,
        body: ByteStream,
        length: Option<u64>,
        cause: &Cause,
    ) -> Result<u64, UploadError> {
        self.check_room(0, length)?;
        let key = layout::scratch(&new_id()?);
        let start = Progress {
            offset: 0,
            hashers: Hashers::new(&[digest.algorithm()]),
        };
        let body = self.bounded(body, 0, length);
        let appended = self.store.append(&key, start, body).await;
        let progress = appended.progress;
        let stored = match appended.failure {
            Some(error) => Err(self.failed(error, length)),
            None => check_length(length, progress.offset),
        };
        let published = match stored {
            Ok(()) => {
                self.publish_whole(repo, &key, digest, &progress, cause)
                    .await
            }
            Err(error) => Err(error),
        };
        self.or_forgotten(&key, published).await
    }

    pub(super) async fn publish_whole(
        &self,
        repo: &RepoName,
        key: &Key,
        digest: &Digest,
        progress: &Progress,
        cause: &Cause,
    ) -> Result<u64, UploadError> {
        let staged = Staged {
            repo,
            key: key.clone(),
            session: None,
        };
        self.publish(&staged, digest, progress, cause).await
    }

    /// After an error the staged bytes are of no use: nobody can go on from there.
    pub(super) async fn or_forgotten<T>(
        &self,
        key: &Key,
        done: Result<T, UploadError>,
    ) -> Result<T, UploadError> {
        if done.is_err() {
            // What stays here goes when the store is opened again.
            if let Err(error) = self.store.delete(key).await {
                tracing::warn!(%error, %key, "a failed upload's bytes stay for now");
            }
        }
        done
    }
}
