//! Room on the builder's disk.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::statvfs;

/// Less is free on the disk than is kept free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the server's disk for builds has {} MiB left, and {} MiB of it are kept free (builder.minFreeBytes): free some of it, \
     or let less be kept (builder.layers.maxBytes, builder.cache.maxBytes), then ask again",
    .free >> 20,
    .keep >> 20
)]
pub struct NoRoom {
    /// Bytes that an ordinary user could still write.
    pub free: u64,
    /// Bytes that are kept free.
    pub keep: u64,
}

/// The word for machines that have too little room, of runs and of sources alike.
pub(crate) const PRESSURE: &str = "DiskPressure";

/// How many bytes the builder itself has written for one run. Clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written(Arc<AtomicU64>);

/// A sink whose bytes are counted.
pub(crate) struct Counted<W> {
    sink: W,
    written: Written,
}

/// A file that another writes, whose bytes are counted when it is looked at.
pub(crate) struct Growing {
    file: Option<File>,
    counted: u64,
    written: Written,
}

/// What is said where the disk of builds is full: `message` says at what.
pub(crate) fn full(message: &str) -> String {
    format!("the server's disk for builds (builder.dir) is full: {message}")
}

/// Whether a call failed for want of room on a disk.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Bytes that an ordinary user could still write on the disk that `folder` is on.
pub(crate) fn free(folder: &Path) -> io::Result<u64> {
    let disk = statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

impl NoRoom {
    /// Looks at the disk that `folder` is on; `None` if at least `keep` bytes are free there.
    pub(crate) fn below(keep: u64, folder: &Path) -> io::Result<Option<Self>> {
        if keep == 0 {
            return Ok(None);
        }
        let free = free(folder)?;
        Ok((free < keep).then_some(Self { free, keep }))
    }

    /// How many bytes are missing.
    pub(crate) fn missing(&self) -> u64 {
        self.keep.saturating_sub(self.free)
    }
}

impl Written {
    pub(crate) fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Whether nobody else counts here any more.
    pub(crate) fn is_last(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// Counts what goes into a sink.
    pub(crate) fn counting<W>(&self, sink: W) -> Counted<W> {
        let written = self.clone();
        Counted { sink, written }
    }

    /// Counts what a file has from now on, if there is one.
    pub(crate) fn growing(&self, file: Option<&File>) -> Growing {
        Growing {
            file: file.and_then(|file| file.try_clone().ok()),
            counted: 0,
            written: self.clone(),
        }
    }
}

impl Growing {
    pub(crate) fn look(&mut self) {
        let found = self.file.as_ref().and_then(|file| file.metadata().ok());
        let length = found.map_or(0, |found| found.len());
        self.written.add(length.saturating_sub(self.counted));
        self.counted = self.counted.max(length);
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.sink.write(bytes)?;
        self.written.add(count as u64);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_counted_once() {
        let written = Written::default();
        written.counting(io::sink()).write_all(&[0; 1000]).unwrap();
        assert_eq!(written.clone().bytes(), 1000);
        let mut file = tempfile::tempfile().unwrap();
        let mut growing = written.growing(Some(&file));
        for bytes in [1000, 1300, 1300] {
            growing.look();
            growing.look();
            assert_eq!(written.bytes(), bytes);
            if bytes == 1000 {
                file.write_all(&[0; 300]).unwrap();
            }
        }
        written.growing(None).look();
        assert_eq!(written.bytes(), 1300);
    }
}
