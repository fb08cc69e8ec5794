//! Upload sessions: blobs on their way in.
//!
//! A session belongs to one repository and one owner; for anybody else there is no such session.
//! It lives in the index with its hash so far, so it survives a restart and goes on in another
//! process. One request at a time works on it.

mod busy;
mod orphans;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::SystemTime;

use futures_util::StreamExt as _;
use futures_util::stream;
use oci::{Algorithm, Digest, Hashers, RepoName, UploadId};

use crate::blobs::Blobs;
use crate::detached::detached;
use crate::index::Session;
use crate::{AppendError, BodyError, ByteStream, ChunkRange, Index, ObjectStore, Progress};
use crate::{Key, StorageError, StoreError, content, layout};
use busy::Busy;

/// Sessions removed at a time.
const PURGE: usize = 1_000;

/// Upload sessions.
#[derive(Debug, Clone)]
pub struct Uploads {
    store: Arc<dyn ObjectStore>,
    index: Arc<dyn Index>,
    blobs: Blobs,
    busy: Busy,
    max_bytes: u64,
}

/// Why an upload did not go on. Unless it says otherwise, the session is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// There is no such session: never was, is finished, or belongs to somebody else.
    #[error("no such upload: start a new one")]
    Unknown,
    /// The chunk does not begin where the upload stands.
    #[error("the upload has {have} bytes: go on from there")]
    OutOfOrder {
        /// Bytes received so far.
        have: u64,
    },
    /// Another request works on the session.
    #[error("another request works on this upload: try again when it is done")]
    Busy,
    /// The bytes are not what the digest says. The session stays, to be finished with the right
    /// digest or cancelled.
    #[error("the bytes have the digest {got}")]
    DigestMismatch {
        /// What they are.
        got: Digest,
    },
    /// More or fewer bytes came than were announced. None of this chunk is taken.
    #[error("the body is not the {announced} bytes that were announced")]
    SizeMismatch {
        /// By `Content-Range` or `Content-Length`.
        announced: u64,
    },
    /// The blob is larger than this registry takes.
    #[error("a blob may have at most {limit} bytes")]
    TooLarge {
        /// Bytes.
        limit: u64,
    },
    /// The body broke off. What came is kept: ask for the upload's status and go on from there.
    #[error(transparent)]
    Body(BodyError),
    /// Storage does not answer.
    #[error(transparent)]
    Storage(#[from] StorageError),
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
        self.index.create_upload(&session).await?;
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
        let working = self.busy.take(id)?;
        let session = self.session(repo, owner, id).await?;
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
        now: SystemTime,
    ) -> Result<u64, UploadError> {
        let working = self.busy.take(id)?;
        let session = self.session(repo, owner, id).await?;
        let (this, digest) = (self.clone(), *digest);
        detached(async move {
            let _working = working;
            let progress = match tail {
                Some((range, body)) => this.receive(&session, range, body, now).await?,
                None => this.settled(&session, now).await?,
            };
            let staged = Staged {
                repo: &session.repo,
                key: layout::staged(&session.repo, &session.id),
                session: Some(&session.id),
            };
            this.publish(&staged, &digest, &progress, now).await
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
        now: SystemTime,
    ) -> Result<u64, UploadError> {
        let (this, repo, digest) = (self.clone(), repo.clone(), *digest);
        detached(async move { this.receive_whole(&repo, &digest, body, length, now).await }).await
    }

    /// Drops the session and its bytes.
    pub async fn cancel(
        &self,
        repo: &RepoName,
        owner: &str,
        id: &UploadId,
    ) -> Result<(), UploadError> {
        let working = self.busy.take(id)?;
        let session = self.session(repo, owner, id).await?;
        let this = self.clone();
        detached(async move {
            let _working = working;
            this.remove(&session.repo, &session.id).await?;
            Ok(())
        })
        .await
    }

    /// Removes sessions that nobody has touched since `idle_since`, and staged bytes as old that belong to no session;
    /// returns how many of both.
    pub async fn purge(&self, idle_since: SystemTime) -> Result<usize, StorageError> {
        let mut purged = 0;
        for (id, repo) in self.index.idle_uploads(idle_since, PURGE).await? {
            if let Ok(_working) = self.busy.take(&id) {
                self.remove(&repo, &id).await?;
                purged += 1;
            }
        }
        Ok(purged + self.purge_orphans(idle_since).await?)
    }

    async fn receive_whole(
        &self,
        repo: &RepoName,
        digest: &Digest,
        body: ByteStream,
        length: Option<u64>,
        now: SystemTime,
    ) -> Result<u64, UploadError> {
        let key = layout::scratch(&new_id()?);
        let start = Progress {
            offset: 0,
            hashers: Hashers::new(&[digest.algorithm()]),
        };
        let body = self.bounded(body, 0, length);
        let appended = self.store.append(&key, start, body).await;
        let progress = appended.progress;
        let stored = match appended.failure {
            Some(error) => Err(self.failed(error, 0, length)),
            None => check_length(length, progress.offset),
        };
        let staged = Staged {
            repo,
            key: key.clone(),
            session: None,
        };
        let published = match stored {
            Ok(()) => self.publish(&staged, digest, &progress, now).await,
            Err(error) => Err(error),
        };
        if published.is_err() {
            // What stays here goes when the store is opened again.
            if let Err(error) = self.store.delete(&key).await {
                tracing::warn!(%error, %key, "a failed upload's bytes stay for now");
            }
        }
        published
    }

    /// The bytes first: a session without bytes is purged one day, bytes without a session must be looked for.
    async fn remove(&self, repo: &RepoName, id: &UploadId) -> Result<(), StorageError> {
        self.store.delete(&layout::staged(repo, id)).await?;
        self.index.delete_upload(id).await?;
        Ok(())
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

    /// The session as it is to be finished without a last chunk: its file has to be made if nothing came, and must hold
    /// nothing that does not count, such as a chunk that was refused for its length.
    async fn settled(&self, session: &Session, now: SystemTime) -> Result<Progress, UploadError> {
        let is_exact = match self
            .store
            .head(&layout::staged(&session.repo, &session.id))
            .await
        {
            Ok(meta) => meta.size == session.offset,
            Err(StoreError::NotFound(_)) => session.offset > 0,
            Err(error) => return Err(StorageError::from(error).into()),
        };
        if is_exact {
            return Ok(resume(session)?);
        }
        self.receive(session, None, stream::empty().boxed(), now)
            .await
    }

    /// Adds a chunk to the staged bytes and records how far they are, whether or not all came.
    async fn receive(
        &self,
        session: &Session,
        range: Option<ChunkRange>,
        body: ByteStream,
        now: SystemTime,
    ) -> Result<Progress, UploadError> {
        let have = session.offset;
        if range.is_some_and(|range| range.start() != have) {
            return Err(UploadError::OutOfOrder { have });
        }
        let length = range.map(ChunkRange::length);
        let key = layout::staged(&session.repo, &session.id);
        let body = self.bounded(body, have, length);
        let appended = self.store.append(&key, resume(session)?, body).await;
        let progress = appended.progress;
        let received = match appended.failure {
            Some(AppendError::Store(StoreError::NotFound(_))) => return Err(UploadError::Unknown),
            Some(error) => Err(self.failed(error, have, length)),
            None => check_length(length, progress.offset - have),
        };
        if let Err(error @ UploadError::SizeMismatch { .. }) = received {
            return Err(error);
        }
        let hashers = progress.hashers.checkpoint();
        let alive = self
            .index
            .checkpoint_upload(&session.id, progress.offset, &hashers, now)
            .await?;
        if !alive {
            return Err(UploadError::Unknown);
        }
        received.map(|()| progress)
    }

    /// Gives staged bytes their name, if it is theirs, and links them into the repository.
    async fn publish(
        &self,
        staged: &Staged<'_>,
        digest: &Digest,
        progress: &Progress,
        now: SystemTime,
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
            .link(staged.repo, digest, size, staged.session, now)
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

    /// Ends the body with an error where it would pass what was announced or may be stored.
    fn bounded(&self, body: ByteStream, have: u64, length: Option<u64>) -> ByteStream {
        let room = self.max_bytes.saturating_sub(have);
        let mut left = length.map_or(room, |length| length.min(room));
        body.map(move |frame| {
            let frame = frame?;
            left = left
                .checked_sub(frame.len() as u64)
                .ok_or(BodyError::TooLong)?;
            Ok(frame)
        })
        .boxed()
    }

    fn failed(&self, error: AppendError, have: u64, announced: Option<u64>) -> UploadError {
        let limit = self.max_bytes;
        match (error, announced) {
            (AppendError::Body(BodyError::TooLong), Some(announced))
                if announced <= limit.saturating_sub(have) =>
            {
                UploadError::SizeMismatch { announced }
            }
            (AppendError::Body(BodyError::TooLong), _) => UploadError::TooLarge { limit },
            (AppendError::Body(error), _) => UploadError::Body(error),
            (AppendError::Store(error), _) => UploadError::Storage(error.into()),
        }
    }
}

/// Bytes that have no name yet.
struct Staged<'a> {
    repo: &'a RepoName,
    key: Key,
    /// Ends when they get their name.
    session: Option<&'a UploadId>,
}

fn check_length(announced: Option<u64>, got: u64) -> Result<(), UploadError> {
    match announced {
        Some(announced) if announced != got => Err(UploadError::SizeMismatch { announced }),
        _ => Ok(()),
    }
}

fn resume(session: &Session) -> Result<Progress, StorageError> {
    let offset = session.offset;
    match Hashers::resume(&session.hashers) {
        Ok(hashers) if hashers.written() == offset => Ok(Progress { offset, hashers }),
        _ => Err(StorageError::Corrupt {
            what: format!("the state of upload {}", session.id),
        }),
    }
}

/// 122 random bits: an id cannot be guessed.
fn new_id() -> Result<UploadId, StorageError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(StorageError::unavailable)?;
    Ok(UploadId::from_random(random))
}
