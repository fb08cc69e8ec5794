//! What is in files.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use super::ExportError;
use crate::tree::{Stat, TreePath, stat};

/// A regular file to read: which it is in the tree, where it is, what it was when it was looked at.
#[derive(Clone, Copy)]
pub(super) struct Content<'a> {
    pub(super) path: &'a TreePath,
    pub(super) directory: BorrowedFd<'a>,
    pub(super) name: &'a [u8],
    pub(super) stat: &'a Stat,
}

/// Reads files, two at a time at most, and not beyond being cancelled.
pub(super) struct Contents<'a> {
    buffers: [Vec<u8>; 2],
    cancelled: &'a CancellationToken,
}

impl<'a> Contents<'a> {
    pub(super) fn new(cancelled: &'a CancellationToken) -> Self {
        Self {
            buffers: [vec![0; BUFFER], vec![0; BUFFER]],
            cancelled,
        }
    }

    /// Gives all of a file to `take`: as many bytes as it had when it was looked at.
    pub(super) fn copy(
        &mut self,
        content: Content<'_>,
        mut take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), ExportError> {
        let path = content.path;
        let mut file = content.open()?;
        let mut left = content.stat.size;
        let [buffer, _] = &mut self.buffers;
        while left > 0 {
            if self.cancelled.is_cancelled() {
                return Err(ExportError::Cancelled);
            }
            let most = usize::try_from(left).unwrap_or(usize::MAX);
            let most = most.min(buffer.len());
            let read = fill(&mut file, &mut buffer[..most]);
            let read = read.map_err(|error| ExportError::read(path, error))?;
            if read < most {
                let why = "it became shorter while it was read: something still writes to it";
                return Err(ExportError::refused(path, why));
            }
            take(&buffer[..read]).map_err(ExportError::Sink)?;
            left -= read as u64;
        }
        Ok(())
    }

    /// Whether two files have the same bytes.
    pub(super) fn are_same(
        &mut self,
        one: Content<'_>,
        other: Content<'_>,
    ) -> Result<bool, ExportError> {
        let read = |error| ExportError::read(one.path, error);
        let (mut here, mut there) = (one.open()?, other.open()?);
        let [left, right] = &mut self.buffers;
        loop {
            if self.cancelled.is_cancelled() {
                return Err(ExportError::Cancelled);
            }
            let length = fill(&mut here, left).map_err(read)?;
            let other_length = fill(&mut there, right).map_err(read)?;
            if left[..length] != right[..other_length] {
                return Ok(false);
            }
            if length < left.len() {
                return Ok(true);
            }
        }
    }
}

impl Content<'_> {
    /// Opens the file that was looked at, and no other that took its name.
    fn open(&self) -> Result<File, ExportError> {
        // What is a fifo by now would wait for a writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let open = || {
            let file = openat(self.directory, self.name, flags, Mode::empty())?;
            let is_it = stat(file.as_fd(), b"")?.inode == self.stat.inode;
            is_it.then(|| File::from(file)).ok_or(Errno::STALE)
        };
        open().map_err(|error| ExportError::read(self.path, error))
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

const BUFFER: usize = 256 << 10;
