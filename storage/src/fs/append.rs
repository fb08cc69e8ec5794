//! Uploads on their way to the disk: the next bytes arrive while the last ones are hashed and written, and the disk is
//! kept busy, so that little is left to sync at the end.
//!
//! No space is set aside for the length that a client announces: a header would then fill the disk.

use bytes::Bytes;
use futures_util::StreamExt as _;

use super::FsStore;
use super::pipe::{Pipe, Writer};
use crate::{AppendError, Appended, BodyError, ByteStream, Key, Progress, StoreError};

/// Bytes handed to the writing thread at a time.
const BATCH: usize = 128 << 10;
/// Frames below this are copied together: a client that sends bytes one by one must cost neither a handle of some
/// thirty bytes nor a system call for each.
const SMALL: usize = 4 << 10;
/// Bytes copied together at most.
const GATHERED: usize = 64 << 10;

pub(super) async fn append(
    store: &FsStore,
    staged: &Key,
    at: Progress,
    mut body: ByteStream,
) -> Appended {
    let before = at.clone();
    let (batch, end) = collect(&mut body).await;
    let (key, is_all) = (staged.clone(), end.is_some());
    // A small body costs one trip to another thread: opened, written and synced at once.
    let first = store.blocking(move |disk| {
        let mut writer = Writer::open(disk, &key, at)?;
        writer.write(&batch);
        if is_all {
            writer.sync(disk);
        }
        Ok(writer)
    });
    let written = match (first.await, end) {
        (Ok(writer), Some(end)) => Ok((writer, end)),
        (Ok(writer), None) => drain(store, writer, body).await,
        (Err(error), _) => Err(error),
    };
    match written {
        Ok((writer, end)) => writer.end(before, end),
        Err(error) => Appended {
            progress: before,
            failure: Some(error.into()),
        },
    }
}

/// Writes the rest of a body that is too long for one batch.
async fn drain(
    store: &FsStore,
    writer: Writer,
    mut body: ByteStream,
) -> Result<(Writer, BodyEnd), StoreError> {
    let mut pipe = Pipe::new(store, writer);
    loop {
        let (batch, end) = collect(&mut body).await;
        let goes_on = batch.is_empty() || pipe.push(batch).await?;
        if !goes_on || end.is_some() {
            // A body is not read on when its bytes cannot be written.
            return Ok((pipe.finish().await?, end.unwrap_or(Ok(()))));
        }
    }
}

impl Writer {
    /// What became of the append.
    fn end(self, before: Progress, end: BodyEnd) -> Appended {
        if let Some(error) = self.unsynced {
            return Appended {
                progress: before,
                failure: Some(error.into()),
            };
        }
        // A failed write may have left bytes past the offset; the next append cuts them.
        let failed = self.failed.map(AppendError::from);
        Appended {
            progress: self.progress,
            failure: failed.or(end.err().map(AppendError::from)),
        }
    }
}

/// How a body ended.
type BodyEnd = Result<(), BodyError>;

/// The next batch, and how the body ended if it did.
pub(super) async fn collect(body: &mut ByteStream) -> (Vec<Bytes>, Option<BodyEnd>) {
    let mut batch = Batch::default();
    while batch.size < BATCH {
        match body.next().await {
            Some(Ok(frame)) => batch.push(frame),
            Some(Err(error)) => return (batch.end(), Some(Err(error))),
            None => return (batch.end(), Some(Ok(()))),
        }
    }
    (batch.end(), None)
}

#[derive(Default)]
struct Batch {
    pieces: Vec<Bytes>,
    /// Small frames that came after the last piece.
    gathered: Vec<u8>,
    size: usize,
}

impl Batch {
    fn push(&mut self, frame: Bytes) {
        self.size += frame.len();
        if frame.len() >= SMALL {
            self.part();
            self.pieces.push(frame);
            return;
        }
        if self.gathered.len() + frame.len() > GATHERED {
            self.part();
        }
        self.gathered.extend_from_slice(&frame);
    }

    /// Makes a piece of what is gathered.
    fn part(&mut self) {
        if !self.gathered.is_empty() {
            let gathered = std::mem::take(&mut self.gathered);
            self.pieces.push(gathered.into());
        }
    }

    fn end(mut self) -> Vec<Bytes> {
        self.part();
        self.pieces
    }
}
