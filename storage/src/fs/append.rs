//! Uploads on their way to the disk: the next bytes arrive while the last ones are hashed and
//! written, and the disk is kept busy, so that little is left to sync at the end.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::task::{JoinHandle, spawn_blocking};

use super::{FsStore, absent, folders, refused};
use crate::{AppendError, Appended, BodyError, ByteStream, Key, Progress, StoreError};

/// Bytes handed to the writing thread at a time. Two batches are in memory per upload.
const BATCH: usize = 256 << 10;
/// Bytes written between two syncs in the background: a final sync of a gigabyte would be a tail
/// of seconds after the last byte.
const WRITE_BEHIND: u64 = 32 << 20;

pub(super) async fn append(
    store: &FsStore,
    staged: &Key,
    at: Progress,
    body: ByteStream,
) -> Appended {
    let before = at.clone();
    let stopped = |error: StoreError| Appended {
        progress: before,
        failure: Some(error.into()),
    };
    let key = staged.clone();
    let offset = at.offset;
    let opened = store.blocking(move |disk| {
        disk.writable()?;
        open(&disk.path(&key), offset, &key)
    });
    let file = match opened.await {
        Ok(file) => file,
        Err(error) => return stopped(error),
    };
    let mut pipe = Pipe {
        writer: Writer {
            file: Arc::new(file),
            progress: at,
        },
        behind: None,
        unsynced: 0,
    };
    let failure = pipe.run(store, body).await.err();
    let file = Arc::clone(&pipe.writer.file);
    let behind = pipe.behind.take();
    let last = store.blocking(move |disk| disk.synced(file.sync_data()));
    let synced = match behind {
        // Each error is reported once: the sync in the background may have had it.
        Some(behind) => match store.disk.synced(joined(behind.await)) {
            Ok(()) => last.await,
            Err(error) => Err(error),
        },
        None => last.await,
    };
    if let Err(error) = synced {
        return stopped(error);
    }
    // A failed write may have left bytes past the offset; the next append cuts them.
    Appended {
        progress: pipe.writer.progress,
        failure,
    }
}

/// Opens a staged file to go on at `offset`.
fn open(path: &Path, offset: u64, key: &Key) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    options.write(true);
    if offset == 0 {
        options.create(true);
        if let Some(folder) = path.parent() {
            folders::make(folder, &mut Vec::new()).map_err(refused)?;
        }
    }
    let file = options.open(path).map_err(|error| absent(error, key))?;
    let length = file.metadata().map_err(refused)?.len();
    if length < offset {
        return Err(StoreError::NotFound(key.clone()));
    }
    if length > offset {
        file.set_len(offset).map_err(refused)?;
    }
    Ok(file)
}

/// What the writing thread works on.
#[derive(Debug)]
struct Writer {
    file: Arc<File>,
    progress: Progress,
}

impl Writer {
    /// Writes all, then hashes it: what was not written does not count.
    fn write(&mut self, batch: &[Bytes]) -> io::Result<()> {
        let mut offset = self.progress.offset;
        for bytes in batch {
            self.file.write_all_at(bytes, offset)?;
            offset += bytes.len() as u64;
        }
        for bytes in batch {
            self.progress.hashers.update(bytes);
        }
        self.progress.offset = offset;
        Ok(())
    }
}

struct Pipe {
    writer: Writer,
    behind: Option<JoinHandle<io::Result<()>>>,
    unsynced: u64,
}

impl Pipe {
    async fn run(&mut self, store: &FsStore, mut body: ByteStream) -> Result<(), AppendError> {
        let (mut batch, mut end) = collect(&mut body).await;
        while !batch.is_empty() {
            let mut writer = Writer {
                file: Arc::clone(&self.writer.file),
                progress: self.writer.progress.clone(),
            };
            let writing = spawn_blocking(move || {
                let written = writer.write(&batch);
                (writer, written)
            });
            let next = match end {
                None => collect(&mut body).await,
                Some(_) => (Vec::new(), end),
            };
            let (writer, written) = writing
                .await
                .map_err(|error| StoreError::Unavailable(error.into()))?;
            self.unsynced += writer.progress.offset - self.writer.progress.offset;
            self.writer = writer;
            written.map_err(refused)?;
            self.sync_behind(store).await?;
            (batch, end) = next;
        }
        match end {
            Some(Err(error)) => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Starts a sync of what is written, once enough is, and once the last one is done.
    async fn sync_behind(&mut self, store: &FsStore) -> Result<(), StoreError> {
        if self.unsynced < WRITE_BEHIND || self.behind.as_ref().is_some_and(|b| !b.is_finished()) {
            return Ok(());
        }
        if let Some(done) = self.behind.take() {
            store.disk.synced(joined(done.await))?;
        }
        self.unsynced = 0;
        let file = Arc::clone(&self.writer.file);
        self.behind = Some(spawn_blocking(move || file.sync_data()));
        Ok(())
    }
}

/// The next batch, and how the body ended if it did.
async fn collect(body: &mut ByteStream) -> (Vec<Bytes>, Option<Result<(), BodyError>>) {
    let mut batch = Vec::new();
    let mut size = 0;
    while size < BATCH {
        match body.next().await {
            Some(Ok(bytes)) => {
                size += bytes.len();
                if !bytes.is_empty() {
                    batch.push(bytes);
                }
            }
            Some(Err(error)) => return (batch, Some(Err(error))),
            None => return (batch, Some(Ok(()))),
        }
    }
    (batch, None)
}

fn joined(result: Result<io::Result<()>, tokio::task::JoinError>) -> io::Result<()> {
    result.unwrap_or_else(|error| Err(io::Error::other(error)))
}
