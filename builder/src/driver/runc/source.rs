//! The source snapshot, as the server has it: a tar that somebody made.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _};

use oci::{Digest, Hasher};
use tokio_util::sync::CancellationToken;

use crate::archive::{ArchiveError, Kind, Reader};
use crate::tree::TreePath;

/// The snapshot's tar, which was read once to its end and has the digest that the plan names.
pub(super) struct Source(File);

/// Longest script.
const MAX_SCRIPT: u64 = 16 << 20;
const BUFFER: usize = 256 << 10;

impl Source {
    /// Compares the digest. `None`: it is another.
    pub(super) fn check(
        mut file: File,
        digest: &Digest,
        cancelled: &CancellationToken,
    ) -> io::Result<Option<Self>> {
        file.rewind()?;
        let mut hasher = Hasher::new(digest.algorithm());
        let mut buffer = vec![0; BUFFER];
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 || cancelled.is_cancelled() {
                break;
            }
            hasher.update(&buffer[..read]);
        }
        Ok((hasher.finish() == *digest).then_some(Self(file)))
    }

    /// The tar from its beginning. One at a time may read.
    pub(super) fn open(&self) -> io::Result<BufReader<&File>> {
        let mut file = &self.0;
        file.rewind()?;
        Ok(BufReader::with_capacity(BUFFER, file))
    }

    /// The content of a regular file in it. The error is a sentence.
    pub(super) fn script(&self, path: &str) -> Result<Vec<u8>, String> {
        let wanted =
            TreePath::parse(path.as_bytes()).map_err(|error| format!("{path}: {error}"))?;
        let archive = self.open().map_err(|error| error.to_string())?;
        let mut archive = Reader::new(archive);
        let refused = |error: ArchiveError| error.to_string();
        while let Some(entry) = archive.next().map_err(refused)? {
            if entry.path != wanted {
                continue;
            }
            let Kind::File(size) = entry.kind else {
                return Err(format!("{wanted} of the source is no file"));
            };
            if size > MAX_SCRIPT {
                return Err(format!("{wanted} of the source is over {MAX_SCRIPT} bytes"));
            }
            let mut content = Vec::new();
            let read = archive.read_to_end(&mut content);
            return read.map(|_| content).map_err(|error| error.to_string());
        }
        Err(format!("{wanted} is not in the source"))
    }
}
