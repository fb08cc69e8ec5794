//! A file that is hashed as it is written.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use oci::{Algorithm, Digest, Hasher};

use crate::room::Written;

/// A file, and SHA-256 of what was written to it.
pub(super) struct HashingFile {
    file: BufWriter<File>,
    hasher: Hasher,
    counted: Written,
}

impl HashingFile {
    /// What is written is counted in `counted`.
    pub(super) fn new(file: File, counted: &Written) -> Self {
        Self {
            file: BufWriter::with_capacity(256 << 10, file),
            hasher: Hasher::new(Algorithm::Sha256),
            counted: counted.clone(),
        }
    }

    /// Bytes so far.
    pub(super) fn written(&self) -> u64 {
        self.hasher.written()
    }

    /// The file at its end, the digest and the number of its bytes.
    pub(super) fn finish(self) -> io::Result<(File, Digest, u64)> {
        let file = self
            .file
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        let size = self.hasher.written();
        Ok((file, self.hasher.finish(), size))
    }
}

impl Write for HashingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.counted.add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
