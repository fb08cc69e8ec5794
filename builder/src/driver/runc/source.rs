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
            read.map_err(|error| error.to_string())?;
            if names_no_program(&content) {
                return Err(format!(
                    "{wanted} of the source has the line ends of Windows (CRLF), so that its first line names a program which is nowhere: \
                     give it those of Unix (LF); in .gitattributes: {wanted} text eol=lf"
                ));
            }
            return Ok(content);
        }
        Err(format!("{wanted} is not in the source"))
    }
}

/// Whether the first line names an interpreter whose name, or argument, ends in a carriage return: `execve(2)` takes it as it is, and says
/// that there is no such file.
fn names_no_program(script: &[u8]) -> bool {
    let line = script.split(|byte| *byte == b'\n').next();
    line.is_some_and(|line| line.starts_with(b"#!") && line.ends_with(b"\r"))
}
