//! A queue of batches between the task that receives and a thread that hashes and writes.
//!
//! The thread is borrowed: it works as long as batches are waiting and then goes back to the pool, so a thousand slow
//! clients do not hold a thousand threads, and a fast one does not pay for waking a thread for each batch.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::{JoinError, JoinHandle, spawn_blocking};

use super::{Disk, FsStore, absent, folders, refused};
use crate::{Key, Progress, StoreError};

/// Batches that may wait. With the one being collected and the one being written, a megabyte is in memory per upload.
const WAITING: usize = 6;
/// Bytes written between two syncs in the background: a final sync of a gigabyte would be a tail of seconds after the
/// last byte.
const WRITE_BEHIND: u64 = 16 << 20;

/// A staged file, and how far it is.
#[derive(Debug)]
pub(super) struct Writer {
    file: Arc<File>,
    pub(super) progress: Progress,
    /// Why writing stopped. What was written before it counts.
    pub(super) failed: Option<StoreError>,
    /// Why nothing of this append counts.
    pub(super) unsynced: Option<StoreError>,
}

impl Writer {
    /// Opens a staged file to go on at `at`.
    pub(super) fn open(disk: &Disk, key: &Key, at: Progress) -> Result<Self, StoreError> {
        disk.writable()?;
        let path = disk.path(key);
        let mut options = OpenOptions::new();
        options.write(true);
        if at.offset == 0 {
            options.create(true);
            if let Some(folder) = path.parent() {
                folders::make(folder).map_err(refused)?;
            }
        }
        let file = options.open(path).map_err(|error| absent(error, key))?;
        let length = file.metadata().map_err(refused)?.len();
        if length < at.offset {
            return Err(StoreError::NotFound(key.clone()));
        }
        if length > at.offset {
            file.set_len(at.offset).map_err(refused)?;
        }
        Ok(Self {
            file: Arc::new(file),
            progress: at,
            failed: None,
            unsynced: None,
        })
    }

    /// Writes all of the batch, then hashes it: what was not written does not count.
    pub(super) fn write(&mut self, batch: &[Bytes]) {
        let mut offset = self.progress.offset;
        for bytes in batch {
            if let Err(error) = self.file.write_all_at(bytes, offset) {
                self.failed = Some(refused(error));
                return;
            }
            offset += bytes.len() as u64;
        }
        for bytes in batch {
            self.progress.hashers.update(bytes);
        }
        self.progress.offset = offset;
    }

    /// Makes what was written durable.
    pub(super) fn sync(&mut self, disk: &Disk) {
        if self.unsynced.is_none() {
            self.unsynced = disk.synced_data(self.file.sync_data()).err();
        }
    }
}

/// The thread's end of the queue.
#[derive(Debug)]
struct Desk {
    batches: Receiver<Vec<Bytes>>,
    writer: Writer,
    written: Arc<AtomicU64>,
}

impl Desk {
    /// Works until no batch is waiting, or one cannot be written.
    fn work(mut self) -> Self {
        while self.writer.failed.is_none()
            && let Ok(batch) = self.batches.try_recv()
        {
            self.writer.write(&batch);
            self.written
                .store(self.writer.progress.offset, Ordering::Relaxed);
        }
        self
    }
}

/// The task's end of the queue.
pub(super) struct Pipe {
    disk: Arc<Disk>,
    batches: Sender<Vec<Bytes>>,
    /// The thread that is at work, or the last one that was.
    desk: JoinHandle<Desk>,
    file: Arc<File>,
    written: Arc<AtomicU64>,
    /// Where the last sync in the background began.
    synced: u64,
    behind: Option<JoinHandle<io::Result<()>>>,
    /// A sync in the background failed.
    unsynced: Option<StoreError>,
}

impl Pipe {
    pub(super) fn new(store: &FsStore, writer: Writer) -> Self {
        let (sender, batches) = mpsc::channel(WAITING);
        let offset = writer.progress.offset;
        let written = Arc::new(AtomicU64::new(offset));
        Self {
            disk: Arc::clone(&store.disk),
            batches: sender,
            file: Arc::clone(&writer.file),
            written: Arc::clone(&written),
            synced: offset,
            behind: None,
            unsynced: None,
            desk: start(Desk {
                batches,
                writer,
                written,
            }),
        }
    }

    /// Hands a batch to the thread; waits while too many are waiting. False: writing has stopped.
    pub(super) async fn push(&mut self, batch: Vec<Bytes>) -> Result<bool, StoreError> {
        loop {
            let desk = tokio::select! {
                biased;
                place = self.batches.reserve() => {
                    // An error means that the thread died, which is seen below.
                    if let Ok(place) = place {
                        place.send(batch);
                    }
                    break;
                }
                // It went just before the queue filled up.
                desk = &mut self.desk => desk,
            };
            if !self.go_on(desk)? {
                return Ok(false);
            }
        }
        if self.desk.is_finished() {
            let desk = (&mut self.desk).await;
            if !self.go_on(desk)? {
                return Ok(false);
            }
        }
        self.sync_behind().await?;
        Ok(self.unsynced.is_none())
    }

    /// Waits until all is written, and makes it durable. To be called also after a failure: until then the thread may be
    /// writing.
    pub(super) async fn finish(mut self) -> Result<Writer, StoreError> {
        let mut last = self.desk.await.map_err(died)?;
        while last.writer.failed.is_none() && !last.batches.is_empty() {
            last = start(last).await.map_err(died)?;
        }
        let mut writer = last.writer;
        writer.unsynced = self.unsynced;
        if let Some(behind) = self.behind.take() {
            // Each error is reported once: the sync in the background may have had it.
            let result = behind.await.map_err(died)?;
            writer.unsynced = self.disk.synced_data(result).err();
        }
        let disk = self.disk;
        spawn_blocking(move || {
            writer.sync(&disk);
            writer
        })
        .await
        .map_err(died)
    }

    fn go_on(&mut self, desk: Result<Desk, JoinError>) -> Result<bool, StoreError> {
        let desk = desk.map_err(died)?;
        let goes_on = desk.writer.failed.is_none();
        self.desk = start(desk);
        Ok(goes_on)
    }

    /// Starts a sync of what is written, once enough is, and once the last one is done.
    async fn sync_behind(&mut self) -> Result<(), StoreError> {
        let written = self.written.load(Ordering::Relaxed);
        if written - self.synced < WRITE_BEHIND
            || self.behind.as_ref().is_some_and(|b| !b.is_finished())
        {
            return Ok(());
        }
        if let Some(done) = self.behind.take() {
            self.unsynced = self.disk.synced_data(done.await.map_err(died)?).err();
            if self.unsynced.is_some() {
                return Ok(());
            }
        }
        self.synced = written;
        let file = Arc::clone(&self.file);
        self.behind = Some(spawn_blocking(move || file.sync_data()));
        Ok(())
    }
}

fn start(desk: Desk) -> JoinHandle<Desk> {
    spawn_blocking(move || desk.work())
}

fn died(error: JoinError) -> StoreError {
    StoreError::Unavailable(error.into())
}
