//! From the bytes of a blob to those of an archive: decompressed, counted, hashed.

use std::cell::Cell;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use oci::{Algorithm, Digest, Hasher};
use tokio_util::sync::CancellationToken;

use super::UnpackError;
use super::limits::{Budget, RATIO_FROM};
use crate::Compression;

/// An archive as it is decompressed.
pub(super) struct Archive<'a> {
    bytes: Box<dyn Read + 'a>,
    /// How many compressed bytes were taken.
    taken: Rc<Cell<u64>>,
    hasher: Hasher,
    budget: &'a Budget,
    /// A folder of the disk that the archive is unpacked to, and how much of the archive has come when it is looked at again.
    disk: &'a Path,
    look: u64,
    cancelled: &'a CancellationToken,
}

impl<'a> Archive<'a> {
    /// Wraps the bytes of a layer. `diff_id` says how it will be hashed.
    pub(super) fn new(
        blob: impl Read + 'a,
        compression: Compression,
        algorithm: Algorithm,
        budget: &'a Budget,
        disk: &'a Path,
        cancelled: &'a CancellationToken,
    ) -> io::Result<Self> {
        let taken = Rc::new(Cell::new(0));
        let counted = Counted {
            bytes: blob,
            taken: Rc::clone(&taken),
        };
        let blob = BufReader::with_capacity(BUFFER, counted);
        Ok(Self {
            bytes: compression.reader(blob)?,
            taken,
            hasher: Hasher::new(algorithm),
            budget,
            disk,
            look: 0,
            cancelled,
        })
    }

    /// How many bytes the archive had so far.
    pub(super) fn written(&self) -> u64 {
        self.hasher.written()
    }

    /// The digest of all that was read.
    pub(super) fn finish(self) -> Digest {
        self.hasher.finish()
    }

    /// After `read` bytes more have come.
    fn check(&mut self, read: u64) -> Result<(), UnpackError> {
        if self.cancelled.is_cancelled() {
            return Err(UnpackError::Cancelled);
        }
        self.budget.come(read)?;
        let (written, taken) = (self.hasher.written(), self.taken.get());
        let most = self.budget.limits.ratio;
        if written > RATIO_FROM && written / taken.max(1) > most {
            let text = format!("decompressed it is over {most} times as large, the limit");
            return Err(UnpackError::TooLarge(text));
        }
        if written >= self.look {
            self.look = written + LOOK_EVERY;
            self.budget.look(self.disk)?;
        }
        Ok(())
    }
}

impl Read for Archive<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        self.check(read as u64).map_err(io::Error::other)?;
        Ok(read)
    }
}

struct Counted<R> {
    bytes: R,
    taken: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Marked, to be told from what the decoder makes of the bytes.
        let read = self
            .bytes
            .read(buffer)
            .map_err(|error| match error.kind() {
                io::ErrorKind::Interrupted => error,
                _ => io::Error::other(UnpackError::Source(error)),
            })?;
        self.taken.set(self.taken.get() + read as u64);
        Ok(read)
    }
}

const BUFFER: usize = 256 << 10;
/// The disk is looked at whenever so many bytes have come.
const LOOK_EVERY: u64 = 16 << 20;
