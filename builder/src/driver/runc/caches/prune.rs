//! Removing caches that nobody uses, and syncing those that stay.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use super::{Caches, FILES, Record, name};
use crate::pruned::{Failures, Pruned, children};
use crate::rootfs::{Lock, Mode, durable};
use crate::tree::{Tree, remove_tree, tree_bytes};

impl Caches {
    /// Removes caches that nobody uses, the longest unused first, until those that stay have at most as many bytes as are kept; and
    /// what processes that were killed left. How many bytes stay.
    pub(in crate::driver::runc) fn prune(&self) -> Pruned {
        self.prune_to(self.keep)
    }

    /// The same, with `keep` bytes to stay.
    pub(in crate::driver::runc) fn prune_to(&self, keep: u64) -> Pruned {
        let _alone = self.pruning.lock().unwrap_or_else(PoisonError::into_inner);
        let mut failures = Failures::none();
        for path in failures.children(&self.root.join("incoming")) {
            failures.note(self.discard_unused(&path));
        }
        let trash = self.root.join("trash");
        for path in failures.children(&trash) {
            let name = name(&path).as_encoded_bytes();
            failures.note(Tree::open(&trash).and_then(|trash| remove_tree(trash.fd(), name)));
        }
        let mut all = Vec::new();
        for path in failures.children(&self.root.join("entries")) {
            all.extend(failures.note(self.measured(path)).flatten());
        }
        all.sort_unstable();
        let mut kept: u64 = all.iter().map(|(_, bytes, _)| bytes).sum();
        for (used, bytes, path) in all {
            if kept > keep && failures.note(self.remove(&path, used)) == Some(true) {
                kept -= bytes;
            }
        }
        self.bytes.store(kept, Ordering::Relaxed);
        failures.beside(kept)
    }

    /// When a cache was used last, and its bytes. `None`: it is in use and not measured, or has gone, as it was damaged.
    fn measured(&self, path: PathBuf) -> io::Result<Option<(SystemTime, u64, PathBuf)>> {
        let lock = self.lock_of(&path);
        if !durable::is_whole(&path)? {
            self.discard_damaged(&path, &lock)?;
            return Ok(None);
        }
        let used = match fs::metadata(&lock) {
            Ok(lock) => lock.modified()?,
            Err(_) => SystemTime::UNIX_EPOCH,
        };
        if let Some(record) = Record::read(&path) {
            return Ok(Some((used, record.bytes, path)));
        }
        // In use: it cannot go, and who uses it notes what it has then, which would be long to count again and again.
        let Some(_held) = Lock::try_take(&lock, Mode::Exclusive)? else {
            return Ok(None);
        };
        // Its program or the server was killed.
        let Ok(bytes) = tree_bytes(&path.join(FILES)) else {
            // Too deep to be measured: it would never be too large.
            self.discard(&path)?;
            return Ok(None);
        };
        Ok(Some((used, bytes, path)))
    }

    /// Removes a cache that was used at `used` for the last time; whether it has gone.
    fn remove(&self, path: &Path, used: SystemTime) -> io::Result<bool> {
        let lock = self.lock_of(path);
        let Some(held) = Lock::try_take(&lock, Mode::Exclusive)? else {
            return Ok(false);
        };
        // Used between the look and now.
        if used != SystemTime::UNIX_EPOCH && held.stamped()? > used {
            return Ok(false);
        }
        self.discard(path)?;
        fs::remove_file(&lock)?;
        Ok(true)
    }

    /// Removes what a process that was killed began.
    fn discard_unused(&self, path: &Path) -> io::Result<()> {
        if let Some(_held) = Lock::try_take(&self.lock_of(path), Mode::Exclusive)? {
            self.discard(path)?;
        }
        Ok(())
    }

    fn lock_of(&self, path: &Path) -> PathBuf {
        self.root.join("locks").join(name(path))
    }

    /// Removes what a crash of the machine may have damaged, unless somebody takes it now, who does the same.
    fn discard_damaged(&self, path: &Path, lock: &Path) -> io::Result<()> {
        if let Some(_held) = Lock::try_take(lock, Mode::Exclusive)?
            && !durable::is_whole(path)?
        {
            self.discard(path)?;
            fs::remove_file(lock)?;
        }
        Ok(())
    }

    /// Syncs the caches that are not and that nobody uses, all at once, which may take minutes.
    pub(in crate::driver::runc) fn settle(&self) -> io::Result<()> {
        let entries = self.root.join("entries");
        let mut unsynced = Vec::new();
        for path in children(&entries)? {
            let lock = self.lock_of(&path);
            // In this order: whoever takes it removes the record before they stamp the lock.
            let Ok(used) = fs::metadata(&lock).and_then(|lock| lock.modified()) else {
                continue;
            };
            if durable::is_unsynced(&path)? && Record::read(&path).is_some() {
                unsynced.push((used, path, lock));
            }
        }
        if !unsynced.is_empty() {
            durable::sync(&entries)?;
        }
        let _alone = self.pruning.lock().unwrap_or_else(PoisonError::into_inner);
        for (used, path, lock) in unsynced {
            // What was used between the look and now is synced the next time. A lock without its cache would stay.
            if path.exists()
                && let Some(held) = Lock::try_take(&lock, Mode::Exclusive)?
                && held.stamped()? == used
            {
                durable::unmark(&path)?;
            }
        }
        Ok(())
    }
}
