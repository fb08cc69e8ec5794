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

    /// Notes a time on the file of the lock.
    pub(crate) fn stamp(&self, now: SystemTime) -> io::Result<()> {
        self.0.set_times(FileTimes::new().set_modified(now))
    }

    /// The time that was noted last.
    pub(crate) fn stamped(&self) -> io::Result<SystemTime> {
        self.0.metadata()?.modified()
    }
}

const PAUSE: Duration = Duration::from_millis(20);
