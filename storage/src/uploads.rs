//! Upload sessions: blobs on their way in.
//!
//! A session belongs to one repository and one owner; for anybody else there is no such session.
//! It lives in the index with its hash so far, so it survives a restart and goes on in another
//! process. One request at a time works on it.

mod busy;
mod error;
mod file;
mod publish;
mod purge;
mod receive;
mod whole;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::sync::Arc;
use std::time::SystemTime;

use oci::{Algorithm, Digest, Hashers, RepoName, UploadId};

use crate::audit::Cause;
use crate::blobs::Blobs;
use crate::detached::detached;
use crate::index::Session;
use crate::{ByteStream, ChunkRange, Index, ObjectStore, StorageError, layout};
use busy::{Busy, Working};
use publish::Staged;

pub use error::UploadError;

/// Open sessions that one owner may have. As many requests as the server works on at once; more are forgotten ones, and
/// there must be an end to them before they expire.
const PER_OWNER: usize = 10_000;

/// Upload sessions.
#[derive(Debug, Clone)]
pub struct Uploads {
    store: Arc<dyn ObjectStore>,
    index: Arc<dyn Index>,
    blobs: Blobs,
    busy: Busy,
    max_bytes: u64,
}

impl Uploads {
    pub(crate) fn new(
        store: &Arc<dyn ObjectStore>,
        index: &Arc<dyn Index>,
        blobs: &Blobs,
        max_bytes: u64,
    ) -> Self {
        Self {
            store: Arc::clone(store),
            index: Arc::clone(index),
            blobs: blobs.clone(),
            busy: Busy::default(),
            max_bytes,
        }
    }

    /// Opens a session. `algorithm` is what the digest at the end will be made with; sha256 if
    /// nobody says. Another one at the end costs a second reading of the bytes.
    pub async fn start(
        &self,
        repo: &RepoName,
        owner: &str,
        algorithm: Option<Algorithm>,
        now: SystemTime,
    ) -> Result<UploadId, UploadError> {
        let id = new_id()?;
        let hashers = Hashers::new(&[algorithm.unwrap_or(Algorithm::Sha256)]);
        let session = Session {
            id,
            repo: repo.clone(),
            owner: owner.to_owned(),
            offset: 0,
            hashers: hashers.checkpoint(),
            touched: now,
        };
        if !self.index.create_upload(&session, PER_OWNER).await? {
            return Err(UploadError::TooMany { limit: PER_OWNER });
        }
        Ok(id)
    }

    /// Bytes received so far.
    pub async fn status(
        &self,
        repo: &RepoName,
        owner: &str,
        id: &UploadId,
    ) -> Result<u64, UploadError> {
        Ok(self.session(repo, owner, id).await?.offset)
    }

    /// Adds a chunk; returns the bytes received so far. When the body breaks off, what came is
    /// kept.
    pub async fn append(
        &self,
        repo: &RepoName,
        owner: &str,
        id: &UploadId,
        range: Option<ChunkRange>,
        body: ByteStream,
        now: SystemTime,
    ) -> Result<u64, UploadError> {
        let (working, session) = self.take(repo, owner, id).await?;
        let this = self.clone();
        detached(async move {
            let _working = working;
            let progress = this.receive(&session, range, body, now).await?;
            Ok(progress.offset)
        })
        .await
    }

    /// Ends the session: its bytes, after `tail` is added, become the blob `digest` of the
    /// repository. Returns its size.
    pub async fn finish(
        &self,
        repo: &RepoName,
        owner: &str,
        id: &UploadId,
        digest: &Digest,
        tail: Option<(Option<ChunkRange>, ByteStream)>,
        cause: impl Into<Cause>,
    ) -> Result<u64, UploadError> {
        let cause = cause.into();
        let (working, session) = self.take(repo, owner, id).await?;
        let (this, digest, now) = (self.clone(), *digest, cause.at());
        detached(async move {
            let _working = working;
            let progress = match tail {
                Some((range, body)) => this.receive_last(&session, range, body, now).await?,
                None => this.settled(&session, now).await?,
            };
            let staged = Staged {
                repo: &session.repo,
                key: layout::staged(&session.repo, &session.id),
                session: Some(&session.id),
            };
            let published = this.publish(&staged, &digest, &progress, &cause).await;
            // The client may try again without sending these bytes again. What it is told is why it must.
            if published.is_err()
                && progress.offset > session.offset
                && let Err(error) = this.record(&session.id, &progress, now).await
            {
                tracing::warn!(%error, "the last bytes of an upload have to be sent again");
            }
            published
        })
        .await
    }

    /// A blob in one request: no session, nothing to go on from when it fails.
    pub async fn whole(
        &self,
        repo: &RepoName,
        digest: &Digest,
        body: ByteStream,
        length: Option<u64>,
        cause: impl Into<Cause>,
    ) -> Result<u64, UploadError> {
        let (this, repo, digest) = (self.clone(), repo.clone(), *digest);
        let cause = cause.into();
        detached(async move {
            this.receive_whole(&repo, &digest, body, length, &cause)
                .await
        })
        .await
    }

    /// A blob that is in a file of this process, which nobody writes to any more. Where the store can, the file itself becomes
    /// the blob's, and is not copied. Its digest is checked all the same.
    pub async fn file(
        &self,
        repo: &RepoName,
        digest: &Digest,
        file: File,
        cause: impl Into<Cause>,
    ) -> Result<u64, UploadError> {
        let (this, repo, digest) = (self.clone(), repo.clone(), *digest);
        let cause = cause.into();
        detached(async move { this.receive_file(&repo, &digest, file, &cause).await }).await
    }

    /// Drops the session and its bytes.
    pub async fn cancel(
        &self,
        repo: &RepoName,
        owner: &str,
        id: &UploadId,
    ) -> Result<(), UploadError> {
        let (working, session) = self.take(repo, owner, id).await?;
        let this = self.clone();
        detached(async move {
            let _working = working;
            this.remove(&session.repo, &session.id).await?;
            Ok(())
        })
        .await
    }

    /// The session, and the right to work on it.
    async fn take(
        &self,
        repo: &RepoName,
        owner: &str,
        id: &UploadId,
    ) -> Result<(Working, Session), UploadError> {
        // Before the look: else the session might have gone on in between.
        let working = self.busy.take(id);
        // Also when somebody is at work: a stranger must not learn even that.
        let session = self.session(repo, owner, id).await?;
        Ok((working?, session))
    }

    async fn session(
        &self,
        repo: &RepoName,
        owner: &str,
        id: &UploadId,
    ) -> Result<Session, UploadError> {
        let session = self.index.upload(id).await?;
        session
            .filter(|session| session.repo == *repo && session.owner == owner)
            .ok_or(UploadError::Unknown)
    }
}

/// 122 random bits: an id cannot be guessed.
fn new_id() -> Result<UploadId, StorageError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(StorageError::unavailable)?;
    Ok(UploadId::from_random(random))
}
