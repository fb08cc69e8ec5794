//! The right to change something, which one process has at a time.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// A file that one process holds, until it drops this or dies.
///
/// The file stays when nobody holds it: were it removed, two processes could each hold a file of this name.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

impl FileLock {
    /// Takes the lock, and makes the file if it is not there. Does not wait: an error of the kind
    /// [`io::ErrorKind::ResourceBusy`] says that somebody else has it. Every error names the file.
    pub fn take(path: &Path) -> io::Result<Self> {
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(|error| named(path, error.kind(), &error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(Errno::WOULDBLOCK) => {
                let why = "another slipway uses this data: stop it first";
                Err(named(path, io::ErrorKind::ResourceBusy, &why))
            }
            Err(error) => Err(named(path, error.kind(), &error)),
        }
    }
}

fn named(path: &Path, kind: io::ErrorKind, why: &dyn std::fmt::Display) -> io::Error {
    io::Error::new(kind, format!("{}: {why}", path.display()))
}
