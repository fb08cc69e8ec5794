//! From the bytes of a blob to those of an archive: decompressed, counted, hashed.

use std::cell::Cell;
use std::io::{self, BufReader, Read};
use std::rc::Rc;

use oci::{Algorithm, Digest, Hasher};
use tokio_util::sync::CancellationToken;

use super::UnpackError;
use super::limits::{Limits, RATIO_FROM};
use crate::Compression;

/// An archive as it is decompressed.
pub(super) struct Archive<'a> {
    bytes: Box<dyn Read + 'a>,
    /// How many compressed bytes were taken.
    taken: Rc<Cell<u64>>,
    hasher: Hasher,
    limits: Limits,
    cancelled: &'a CancellationToken,
}

impl<'a> Archive<'a> {
    /// Wraps the bytes of a layer. `diff_id` says how it will be hashed.
    pub(super) fn new(
        blob: impl Read + 'a,
        compression: Compression,
        algorithm: Algorithm,
        limits: Limits,
        cancelled: &'a CancellationToken,
    ) -> io::Result<Self> {
        let taken = Rc::new(Cell::new(0));
        let counted = Counted {
            bytes: blob,
            taken: Rc::clone(&taken),
        };
        let blob = BufReader::with_capacity(BUFFER, counted);
        let bytes: Box<dyn Read + 'a> = match compression {
            Compression::Plain => Box::new(blob),
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(blob)),
            Compression::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(blob)?;
                decoder.window_log_max(MAX_WINDOW_LOG)?;
                Box::new(decoder)
            }
        };
        Ok(Self {
            bytes,
            taken,
            hasher: Hasher::new(algorithm),
            limits,
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

    fn check(&self) -> Result<(), UnpackError> {
        if self.cancelled.is_cancelled() {
            return Err(UnpackError::Cancelled);
        }
        let (written, taken) = (self.hasher.written(), self.taken.get());
        if written > self.limits.bytes {
            let most = self.limits.bytes;
            let text = format!("decompressed it is over {most} bytes, the limit");
            return Err(UnpackError::TooLarge(text));
        }
        if written > RATIO_FROM && written / taken.max(1) > self.limits.ratio {
            let most = self.limits.ratio;
            let text = format!("decompressed it is over {most} times as large, the limit");
            return Err(UnpackError::TooLarge(text));
        }
        Ok(())
    }
}

impl Read for Archive<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        self.check().map_err(io::Error::other)?;
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
/// The window that a frame may ask a reader to keep: 128 MiB, the most that `zstd` takes without being told to.
const MAX_WINDOW_LOG: u32 = 27;
