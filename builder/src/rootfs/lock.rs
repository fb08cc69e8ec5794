//! Locks on files: they end with the process that holds them.

use std::fs::{File, FileTimes};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

/// A lock that is held.
#[derive(Debug)]
pub(crate) struct Lock(File);

/// How a lock is held.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// By any number at a time: who uses something.
    Shared,
    /// By one: who makes or removes it.
    Exclusive,
}

impl Lock {
    /// Takes the lock if it is free.
    pub(crate) fn try_take(path: &Path, mode: Mode) -> io::Result<Option<Self>> {
        loop {
            let file = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(path)?;
            let operation = match mode {
                Mode::Shared => FlockOperation::NonBlockingLockShared,
                Mode::Exclusive => FlockOperation::NonBlockingLockExclusive,
            };
            match flock(&file, operation) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
            // Whoever held it before may have removed the file, and somebody made a new one: that is the lock now.
            let held = file.metadata()?;
            match std::fs::metadata(path) {
                Ok(named) if named.ino() == held.ino() => return Ok(Some(Self(file))),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes the lock when it is free; `None` if it is cancelled before.
    pub(crate) fn take(
        path: &Path,
        mode: Mode,
        cancelled: &CancellationToken,
    ) -> io::Result<Option<Self>> {
        loop {
            if let Some(lock) = Self::try_take(path, mode)? {
                return Ok(Some(lock));
            }
            if cancelled.is_cancelled() {
                return Ok(None);
            }
            // flock(2) cannot wait for one of two things. Whoever waits here waits for a layer to be unpacked.
            std::thread::sleep(PAUSE);
        }
    }

    /// Tries to take the lock alone, to make what it is about. `None`, after a moment: somebody else has it, who may have made it
    /// and go on to use it for long; look again.
    pub(crate) fn to_make(path: &Path) -> io::Result<Option<Self>> {
        let taken = Self::try_take(path, Mode::Exclusive)?;
        if taken.is_none() {
            std::thread::sleep(PAUSE);
        }
        Ok(taken)
    }

    /// Notes a time on the file of the lock.
    pub(crate) fn stamp(&self, now: SystemTime) -> io::Result<()> {
        self.0.set_times(FileTimes::new().set_modified(now))
    }

    /// The time that was noted last.
    pub(crate) fn stamped(&self) -> io::Result<SystemTime> {
        self.0.metadata()?.modified()
    }
}

/// A process that is being started has a copy of every open file for a moment: closed, the lock would stay as long as that.
impl Drop for Lock {
    fn drop(&mut self) {
        // What fails here is closed all the same.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

const PAUSE: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_ends_though_somebody_has_a_copy_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        for mode in [Mode::Shared, Mode::Exclusive] {
            let lock = Lock::try_take(&path, mode).unwrap().unwrap();
            let _copy = lock.0.try_clone().unwrap();
            assert!(Lock::try_take(&path, Mode::Exclusive).unwrap().is_none());
            drop(lock);
            assert!(Lock::try_take(&path, Mode::Exclusive).unwrap().is_some());
        }
    }
}
