//! Taking in bytes: what counts of a body, and how far the session is after it.

use std::time::SystemTime;

use futures_util::StreamExt as _;
use futures_util::stream;
use oci::{Hashers, UploadId};

use super::{UploadError, Uploads};
use crate::index::Session;
use crate::{AppendError, BodyError, ByteStream, ChunkRange, Progress};
use crate::{StorageError, StoreError, layout};

/// A chunk as far as it came.
struct Taken {
    progress: Progress,
    /// Why it is not all.
    end: Result<(), UploadError>,
}

impl Uploads {
    /// The session as it is to be finished without a last chunk: its file has to be made if nothing came, and must hold
    /// nothing that does not count, such as a chunk that was refused for its length.
    pub(super) async fn settled(
        &self,
        session: &Session,
        now: SystemTime,
    ) -> Result<Progress, UploadError> {
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
        self.receive_last(session, None, stream::empty().boxed(), now)
            .await
    }

    /// Adds a chunk to the staged bytes and records how far they are, whether or not all came.
    pub(super) async fn receive(
        &self,
        session: &Session,
        range: Option<ChunkRange>,
        body: ByteStream,
        now: SystemTime,
    ) -> Result<Progress, UploadError> {
        let Taken { progress, end } = self.take_in(session, range, body).await?;
        self.record(&session.id, &progress, now).await?;
        end.map(|()| progress)
    }

    /// The same for the last chunk. When all came it is not recorded: the session is about to end, and whoever ends it
    /// records it if that fails.
    pub(super) async fn receive_last(
        &self,
        session: &Session,
        range: Option<ChunkRange>,
        body: ByteStream,
        now: SystemTime,
    ) -> Result<Progress, UploadError> {
        let Taken { progress, end } = self.take_in(session, range, body).await?;
        if end.is_err() {
            self.record(&session.id, &progress, now).await?;
        }
        end.map(|()| progress)
    }

    /// Records how far a session is.
    pub(super) async fn record(
        &self,
        id: &UploadId,
        progress: &Progress,
        now: SystemTime,
    ) -> Result<(), UploadError> {
        let hashers = progress.hashers.checkpoint();
        let alive = self
            .index
            .checkpoint_upload(id, progress.offset, &hashers, now)
            .await?;
        if alive {
            Ok(())
        } else {
            Err(UploadError::Unknown)
        }
    }

    /// Adds a chunk to the staged bytes. After an error nothing of it counts.
    async fn take_in(
        &self,
        session: &Session,
        range: Option<ChunkRange>,
        body: ByteStream,
    ) -> Result<Taken, UploadError> {
        let have = session.offset;
        if range.is_some_and(|range| range.start() != have) {
            return Err(UploadError::OutOfOrder { have });
        }
        let length = range.map(ChunkRange::length);
        self.check_room(have, length)?;
        let key = layout::staged(&session.repo, &session.id);
        let body = self.bounded(body, have, length);
        let appended = self.store.append(&key, resume(session)?, body).await;
        let progress = appended.progress;
        let end = match appended.failure {
            Some(AppendError::Store(StoreError::NotFound(_))) => return Err(UploadError::Unknown),
            Some(error) => Err(self.failed(error, length)),
            None => check_length(length, progress.offset - have),
        };
        // What was refused is past the offset that counts; whoever goes on from there cuts it.
        match end {
            Err(error @ (UploadError::SizeMismatch { .. } | UploadError::TooLarge { .. })) => {
                Err(error)
            }
            end => Ok(Taken { progress, end }),
        }
    }

    /// Refuses what is announced to be too large before any of it is read.
    pub(super) fn check_room(&self, have: u64, length: Option<u64>) -> Result<(), UploadError> {
        let limit = self.max_bytes;
        if length.is_some_and(|length| length > limit.saturating_sub(have)) {
            return Err(UploadError::TooLarge { limit });
        }
        Ok(())
    }

    /// Ends the body with an error where it would pass what was announced, of which [`Uploads::check_room`] was asked,
    /// or what may be stored.
    pub(super) fn bounded(&self, body: ByteStream, have: u64, length: Option<u64>) -> ByteStream {
        let room = self.max_bytes.saturating_sub(have);
        let mut left = length.unwrap_or(room);
        body.map(move |frame| {
            let frame = frame?;
            left = left
                .checked_sub(frame.len() as u64)
                .ok_or(BodyError::TooLong)?;
            Ok(frame)
        })
        .boxed()
    }

    pub(super) fn failed(&self, error: AppendError, announced: Option<u64>) -> UploadError {
        let limit = self.max_bytes;
        match (error, announced) {
            (AppendError::Body(BodyError::TooLong), Some(announced)) => {
                UploadError::SizeMismatch { announced }
            }
            (AppendError::Body(BodyError::TooLong), None) => UploadError::TooLarge { limit },
            (AppendError::Body(error), _) => UploadError::Body(error),
            (AppendError::Store(error), _) => UploadError::Storage(error.into()),
        }
    }
}

pub(super) fn check_length(announced: Option<u64>, got: u64) -> Result<(), UploadError> {
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
