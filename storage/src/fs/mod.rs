//! Objects as files below one folder: a key is a path.
//!
//! A file appears under its name only whole: it is written elsewhere on the same file system and
//! renamed. What must be durable is synced before the rename, and the folders that lead to it after
//! it. A sync that fails is never tried again: Linux reports a lost write once and forgets it, so
//! the second try would lie. Instead writes stop until the store is opened anew.
//!
//! Other ways were measured (`examples/push.rs`, ext4). One `syncfs` for sixteen files that are
//! published together is no faster than their own syncs, which the file system's journal commits
//! together anyway, and it waits for everybody's unwritten bytes. `O_TMPFILE` and `linkat` save
//! under a tenth of what a small file costs and nothing of a megabyte's, and cannot replace a file:
//! what heals a damaged blob would need the rename all the same.

mod append;
mod folders;
mod list;
mod lock;
mod pipe;
mod write;

#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

pub use folders::make_durably;
pub use lock::FileLock;

use folders::Durable;

use crate::fuse::Fuse;
use crate::layout::{self, LOCK, SCRATCH};
use crate::{
    Appended, ByteStream, Content, Durability, Key, Meta, Object, ObjectStore, Prefix, Progress,
    StoreError,
};

/// Objects as files below a folder.
#[derive(Debug, Clone)]
pub struct FsStore {
    disk: Arc<Disk>,
}

#[derive(Debug)]
struct Disk {
    root: PathBuf,
    scratch: PathBuf,
    /// Any file of the file system, to sync all of it by.
    anchor: File,
    next_scratch: AtomicU64,
    durable: Durable,
    fuse: Fuse,
    /// Held by whoever may write.
    _lock: Option<FileLock>,
}

impl FsStore {
    /// Opens the folder, which is made if it is not there. Clears what a dead server was writing.
    ///
    /// One process at a time can, until all of its store is dropped: another's error is of the kind
    /// [`io::ErrorKind::ResourceBusy`], and nothing was touched.
    pub fn open(root: &Path) -> io::Result<Self> {
        make_durably(root)?;
        let lock = FileLock::take(&root.join(LOCK))?;
        let scratch = root.join(SCRATCH);
        match fs::remove_dir_all(&scratch) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir_all(&scratch)?,
        }
        Ok(Self {
            disk: Arc::new(Disk {
                root: root.to_owned(),
                anchor: File::open(&scratch)?,
                scratch,
                next_scratch: AtomicU64::new(0),
                durable: Durable::default(),
                fuse: Fuse::default(),
                _lock: Some(lock),
            }),
        })
    }

    /// Opens the folder to look at it: nothing is made or cleared, so it may be in use.
    pub fn open_beside_server(root: &Path) -> io::Result<Self> {
        Ok(Self {
            disk: Arc::new(Disk {
                root: root.to_owned(),
                scratch: root.join(SCRATCH),
                anchor: File::open(root)?,
                next_scratch: AtomicU64::new(0),
                durable: Durable::default(),
                fuse: Fuse::default(),
                _lock: None,
            }),
        })
    }

    /// The folder in `root` that holds the content, once there is any.
    pub fn content(root: &Path) -> PathBuf {
        root.join(layout::ROOT)
    }

    /// What opening `root` makes in it besides.
    pub fn own(root: &Path) -> [PathBuf; 2] {
        [root.join(LOCK), root.join(SCRATCH)]
    }

    /// Runs blocking work on a thread for it.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Disk) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let disk = Arc::clone(&self.disk);
        match tokio::task::spawn_blocking(move || work(&disk)).await {
            Ok(result) => result,
            Err(error) => Err(StoreError::Unavailable(error.into())),
        }
    }
}

impl Disk {
    fn path(&self, key: &Key) -> PathBuf {
        self.root.join(key.as_str())
    }

    /// A name in the scratch folder that no other file has.
    fn scratch(&self) -> PathBuf {
        let number = self.next_scratch.fetch_add(1, Ordering::Relaxed);
        self.scratch.join(number.to_string())
    }

    fn writable(&self) -> Result<(), StoreError> {
        if self.fuse.is_blown() {
            Err(StoreError::ReadOnly)
        } else {
            Ok(())
        }
    }

    /// Turns a failed sync into the end of all writing.
    fn synced(&self, result: io::Result<()>) -> Result<(), StoreError> {
        result.map_err(|error| {
            tracing::error!(%error, "a sync failed: writes stop until the store is opened again");
            self.fuse.blow();
            StoreError::ReadOnly
        })
    }

    /// The same for the bytes of a file that has no name yet. A disk that turns out to be full only
    /// when it is synced (quotas over NFS, thin volumes) loses that file alone, which nobody has
    /// been promised; and there is space again once somebody makes some.
    fn synced_data(&self, result: io::Result<()>) -> Result<(), StoreError> {
        match result.map_err(refused) {
            Err(StoreError::Full) => Err(StoreError::Full),
            Err(StoreError::Unavailable(error)) => self.synced(Err(io::Error::other(error))),
            other => other,
        }
    }

    fn open(&self, key: &Key) -> Result<Object, StoreError> {
        let file = File::open(self.path(key)).map_err(|error| absent(error, key))?;
        let size = file.metadata().map_err(refused)?.len();
        Ok(Object {
            size,
            content: Content::File(Arc::new(file)),
        })
    }

    fn head(&self, key: &Key) -> Result<Meta, StoreError> {
        let metadata = fs::metadata(self.path(key)).map_err(|error| absent(error, key))?;
        Ok(Meta {
            key: key.clone(),
            size: metadata.len(),
            modified: metadata.modified().map_err(refused)?,
        })
    }
}

#[async_trait]
impl ObjectStore for FsStore {
    fn takes_writes(&self) -> bool {
        !self.disk.fuse.is_blown()
    }

    async fn head(&self, key: &Key) -> Result<Meta, StoreError> {
        let key = key.clone();
        self.blocking(move |disk| disk.head(&key)).await
    }

    async fn get(&self, key: &Key) -> Result<Object, StoreError> {
        let key = key.clone();
        self.blocking(move |disk| disk.open(&key)).await
    }

    async fn put(&self, key: &Key, body: Bytes, durability: Durability) -> Result<(), StoreError> {
        let key = key.clone();
        self.blocking(move |disk| disk.put(&key, &body, durability))
            .await
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        let key = key.clone();
        self.blocking(move |disk| disk.delete(&key)).await
    }

    fn list<'a>(
        &'a self,
        prefix: &Prefix,
        after: Option<&Key>,
    ) -> BoxStream<'a, Result<Meta, StoreError>> {
        list::list(Arc::clone(&self.disk), prefix, after)
    }

    async fn folders(&self, prefix: &Prefix) -> Result<Vec<Prefix>, StoreError> {
        let prefix = prefix.clone();
        self.blocking(move |disk| list::folders(disk, &prefix))
            .await
    }

    async fn append(&self, staged: &Key, at: Progress, body: ByteStream) -> Appended {
        append::append(self, staged, at, body).await
    }

    async fn adopt(&self, file: &Arc<File>, staged: &Key) -> Result<bool, StoreError> {
        let (file, staged) = (Arc::clone(file), staged.clone());
        self.blocking(move |disk| disk.adopt(&file, &staged)).await
    }

    async fn settle(&self, file: &Arc<File>) -> Result<(), StoreError> {
        let file = Arc::clone(file);
        self.blocking(move |disk| disk.synced_data(file.sync_all()))
            .await
    }

    async fn publish(&self, staged: &Key, to: &Key) -> Result<(), StoreError> {
        let (staged, to) = (staged.clone(), to.clone());
        self.blocking(move |disk| disk.publish(&staged, &to)).await
    }

    async fn flush(&self) -> Result<(), StoreError> {
        self.blocking(|disk| {
            disk.writable()?;
            disk.synced(rustix::fs::syncfs(&disk.anchor).map_err(Into::into))
        })
        .await
    }
}

/// An error about a file that should be there.
fn absent(error: io::Error, key: &Key) -> StoreError {
    use io::ErrorKind::{NotADirectory, NotFound};
    match error.kind() {
        NotFound | NotADirectory => StoreError::NotFound(key.clone()),
        _ => refused(error),
    }
}

/// An error of the file system.
fn refused(error: io::Error) -> StoreError {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    match error.kind() {
        StorageFull | QuotaExceeded => StoreError::Full,
        _ => StoreError::Unavailable(error.into()),
    }
}
