//! Folders that outlive builds.
//!
//! ```text
//! entries/<name>/files/   what programs put there; owned by the sandbox's users
//! entries/<name>/record   of which namespace and id, and how many bytes it had after its last use
//! entries/<name>/unsearched  while a run with secrets uses it: whether it put one there is not known yet
//! entries/<name>/unsynced  in which boot it was used, while what came then may not be on the disk
//! locks/<name>            held alone by who uses it, shared by who copies it; its time is that of the last use
//! incoming/<name>/        a new one, while it is made
//! trash/                  what is being removed
//! ```
//!
//! `<name>` is a digest of namespace and id. Locks end with the process that holds them. A program that was killed may
//! have left half a file: the tools whose caches these are know that, as their own caches at home have no better luck. What a crash of
//! the machine leaves they do not know: files of the right names without their content, also of programs that had ended. So a
//! cache that was not synced since its last use is gone after one.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use oci::{Algorithm, Digest};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::archive::Mtime;
use crate::rootfs::{Lock, Mode, durable};
use crate::tree::{Tree, copy_tree, remove_tree, tree_bytes};

mod prune;
#[cfg(test)]
mod tests;

/// The caches of all namespaces.
#[derive(Debug)]
pub(super) struct Caches {
    root: PathBuf,
    keep: u64,
    /// How many there were when they were last counted.
    bytes: AtomicU64,
    /// Held by whoever removes some: two would take each other's for lost.
    pruning: Mutex<()>,
}

/// A cache in use: it stays while this lives.
#[derive(Debug)]
pub(super) struct Cache {
    folder: PathBuf,
    record: Record,
    /// When it was taken; what has changed since is of who has it.
    since: Mtime,
    _lock: Lock,
}

/// What is in a cache when it is taken.
#[derive(Clone, Copy, Debug)]
pub(super) enum Begin<'a> {
    /// What was left there.
    AsLeft,
    /// The same; in a new one a copy of the cache of this id, if that is there and has at most so many bytes.
    AsCopyOf(&'a str, u64),
    /// Nothing: what was left there is removed.
    Empty,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Record {
    namespace: String,
    id: String,
    bytes: u64,
}

impl Caches {
    /// Opens the folder, which is made if it is not there, and removes what was left half done, and what is beyond `keep` bytes.
    pub(super) fn open(root: &Path, keep: u64) -> io::Result<Self> {
        for folder in ["entries", "locks", "incoming", "trash"] {
            fs::create_dir_all(root.join(folder))?;
        }
        // Whatever strangers' builds put here is nobody else's.
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(root, private)?;
        let caches = Self {
            root: root.canonicalize()?,
            keep,
            bytes: AtomicU64::new(0),
            pruning: Mutex::default(),
        };
        if let Err(error) = caches.prune().failed {
            tracing::warn!(%error, "caches that are not used could not be removed");
        }
        Ok(caches)
    }

    /// A namespace's cache, made if it is not there. Whoever wants it waits for who has it, and `waits` is called once before. `None`:
    /// cancelled before.
    pub(super) fn take(
        &self,
        namespace: &str,
        id: &str,
        begin: Begin<'_>,
        waits: impl FnOnce(),
        cancelled: &CancellationToken,
    ) -> io::Result<Option<Cache>> {
        let name = name_of(namespace, id);
        let folder = self.root.join("entries").join(&name);
        let path = self.root.join("locks").join(&name);
        let mut lock = Lock::try_take(&path, Mode::Exclusive)?;
        if lock.is_none() {
            waits();
            lock = Lock::take(&path, Mode::Exclusive, cancelled)?;
        }
        let Some(lock) = lock else {
            return Ok(None);
        };
        if !durable::is_whole(&folder)? {
            self.discard(&folder)?;
        }
        if folder.exists() {
            // Before anything changes in it.
            durable::mark(&folder)?;
            // What is noted ends to be true now: whoever is killed in its use leaves it to be measured.
            remove(&folder.join(RECORD))?;
            // Nobody knows what a run that was killed has left there.
            if matches!(begin, Begin::Empty) || folder.join(UNSEARCHED).exists() {
                self.discard(&folder.join(FILES))?;
            }
            // Whoever emptied it may have been killed in between.
            fs::create_dir_all(folder.join(FILES))?;
            remove(&folder.join(UNSEARCHED))?;
        } else {
            let incoming = self.root.join("incoming").join(&name);
            self.discard(&incoming)?;
            fs::create_dir(&incoming)?;
            durable::mark(&incoming)?;
            if let Begin::AsCopyOf(from, most) = begin
                && from != id
                && !self.copy(namespace, from, &incoming, most, cancelled)?
            {
                return Ok(None);
            }
            fs::create_dir_all(incoming.join(FILES))?;
            fs::rename(&incoming, &folder)?;
        }
        lock.stamp(SystemTime::now())?;
        Ok(Some(Cache {
            record: Record {
                namespace: namespace.to_owned(),
                id: id.to_owned(),
                bytes: 0,
            },
            folder,
            since: a_moment_ago(),
            _lock: lock,
        }))
    }

    /// How many bytes they had when they were last [pruned](Self::prune).
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Copies the files of another cache of the namespace, if it is there, once nobody writes to it. False: cancelled.
    fn copy(
        &self,
        namespace: &str,
        from: &str,
        to: &Path,
        most: u64,
        cancelled: &CancellationToken,
    ) -> io::Result<bool> {
        let name = name_of(namespace, from);
        let source = self.root.join("entries").join(&name);
        // Not to wait for: whoever writes there may hold it for an hour, and may be waiting for ours.
        let lock = self.root.join("locks").join(&name);
        let Some(_held) = Lock::try_take(&lock, Mode::Shared)? else {
            return Ok(true);
        };
        if !durable::is_whole(&source)? || source.join(UNSEARCHED).exists() {
            return Ok(true);
        }
        let copied = copy_tree(&source.join(FILES), &to.join(FILES), most, cancelled);
        match copied {
            Ok(whole) => Ok(whole),
            // A cache is a help, never a must.
            Err(_) => self.discard(&to.join(FILES)).map(|()| true),
        }
    }

    /// Removes what is in a cache that was in use.
    pub(super) fn empty(&self, cache: Cache) -> io::Result<()> {
        self.discard(&cache.files())?;
        fs::create_dir_all(cache.files())?;
        cache.settle()
    }

    fn discard(&self, path: &Path) -> io::Result<()> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let trash = self.root.join("trash");
        loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}.{number}", std::process::id());
            if trash.join(&name).exists() {
                continue;
            }
            return match fs::rename(path, trash.join(&name)) {
                Ok(()) => remove_tree(Tree::open(&trash)?.fd(), name.as_bytes()),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error),
            };
        }
    }
}

impl Cache {
    /// Where its files are.
    pub(super) fn files(&self) -> PathBuf {
        self.folder.join(FILES)
    }

    /// What it is called.
    pub(super) fn id(&self) -> &str {
        &self.record.id
    }

    /// What has changed from then on, as [`Stat::ctime`](crate::tree::Stat) has it, was put there in this use.
    pub(super) fn since(&self) -> Mtime {
        self.since
    }

    /// Whoever takes it next without this having been [settled](Self::settle) finds it empty.
    pub(super) fn mark_unsearched(&self) -> io::Result<()> {
        fs::write(self.folder.join(UNSEARCHED), b"")
    }

    /// Notes its size, after a use.
    pub(super) fn settle(mut self) -> io::Result<()> {
        self.record.bytes = tree_bytes(&self.files())?;
        let new = self
            .folder
            .join(format!("{RECORD}.{}", uuid::Uuid::new_v4().simple()));
        fs::write(&new, serde_json::to_vec(&self.record)?)?;
        fs::rename(new, self.folder.join(RECORD))?;
        remove(&self.folder.join(UNSEARCHED))
    }
}

impl Record {
    fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(folder.join(RECORD)).ok()?).ok()
    }
}

const FILES: &str = "files";
const RECORD: &str = "record";
const UNSEARCHED: &str = "unsearched";

/// The clock by which files change goes in steps, and lags behind ours by one of them.
fn a_moment_ago() -> Mtime {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let seconds = now.unwrap_or_default().as_secs();
    Mtime {
        seconds: i64::try_from(seconds).unwrap_or_default() - 1,
        nanoseconds: 0,
    }
}

/// Removes a file, if it is there.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Neither namespace nor id has a NUL.
fn name_of(namespace: &str, id: &str) -> String {
    let text = format!("{namespace}\0{id}");
    Digest::of(Algorithm::Sha256, text.as_bytes()).hex()
}

fn name(path: &Path) -> &OsStr {
    path.file_name().unwrap_or_default()
}
