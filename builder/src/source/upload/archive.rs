//! An archive that someone sent as a source.

use std::fs::File;
use std::io::{BufReader, Read, Seek as _, SeekFrom, Write};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use tokio_util::sync::CancellationToken;

use crate::archive::{Kind, Reader};
use crate::room::{Written, is_full};
use crate::s2i::IgnoreMode;
use crate::source::snapshot::{self, Contents};
use crate::source::tree::{Node, Tree};
use crate::source::{Fault, Snapshot, SourceLimits};
use crate::tree::TreePath;
use crate::until::Until;

#[cfg(test)]
mod tests;

/// How gzip (RFC 1952 §2.3.1) and zstd (RFC 8878 §3.1.1) begin.
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Makes a snapshot of a tar, compressed with gzip, zstd or not at all, less what its `.s2iignore` names and anything named `.git`.
///
/// Nothing is unpacked: files' content goes into one unnamed file, names into a tree that refuses what leads elsewhere. An
/// archive that names a device, a link's inside or a path above itself is refused whole, and so is one that common readers
/// would take for different lists of files: it is read as layers are. Both are in the folder `scratch`. Blocks, until
/// `stop`.
pub fn archive(
    input: impl Read,
    mode: IgnoreMode,
    limits: SourceLimits,
    scratch: &Path,
    stop: &CancellationToken,
) -> Result<Snapshot, Fault> {
    archive_for(&Written::default(), input, mode, limits, (scratch, stop))
}

/// The same; what it writes is counted in `written` as it comes.
pub(crate) fn archive_for(
    written: &Written,
    input: impl Read,
    mode: IgnoreMode,
    limits: SourceLimits,
    (scratch, stop): (&Path, &CancellationToken),
) -> Result<Snapshot, Fault> {
    let mut input = BufReader::with_capacity(64 * 1024, input);
    let mut magic = Vec::new();
    (&mut input)
        .take(ZSTD.len() as u64)
        .read_to_end(&mut magic)
        .map_err(|e| unreadable(&e))?;
    let (is_gzip, is_zstd) = (magic.starts_with(&GZIP), magic == ZSTD);
    let input = std::io::Cursor::new(magic).chain(input);
    let input: Box<dyn Read + '_> = if is_gzip {
        Box::new(MultiGzDecoder::new(input))
    } else if is_zstd {
        let decoder = zstd::stream::read::Decoder::new(input);
        Box::new(decoder.map_err(|e| unreadable(&e))?)
    } else {
        Box::new(input)
    };
    // Headers, padding and long names beside the content: what is above this is a bomb.
    let overhead = 8 * 1024 * limits.entries as u64;
    let bounded = input.take(limits.bytes.saturating_add(overhead));
    // Few bytes may be very many uncompressed.
    let bounded = Until::new(bounded, stop.clone());
    let (tree, mut spool) = read(bounded, limits, Spool::new(scratch, written)?)?;
    snapshot::write(tree, &mut spool, mode, (scratch, written), stop)
}

/// Where content is in the spool.
type At = u64;

fn read(
    input: impl Read,
    limits: SourceLimits,
    mut spool: Spool,
) -> Result<(Tree<At>, Spool), Fault> {
    let mut tree = Tree::new(limits);
    let mut archive = Reader::new(input);
    let mut count = 0;
    while let Some(entry) = archive.next().map_err(|e| unreadable(&e))? {
        count += 1;
        if count > limits.entries {
            return Err(Fault::too_large("the archive has too many entries"));
        }
        if is_left_out(&entry.path) {
            continue;
        }
        let path = entry.path.as_bytes();
        let node = match entry.kind {
            Kind::Directory => Node::Folder,
            Kind::File(_) => {
                let (at, size) = spool.take(&mut archive, limits.bytes)?;
                file(at, size, entry.mode & 0o111 != 0)
            }
            Kind::Symlink(target) => Node::Link {
                target: target.into(),
            },
            Kind::HardLink(target) => match tree.get(target.as_bytes()) {
                Some(&Node::File {
                    executable,
                    size,
                    content,
                }) => file(content, size, executable),
                _ => return Err(refused(path, "a hard link to no file before it")),
            },
            Kind::CharDevice(_) | Kind::BlockDevice(_) | Kind::Fifo => {
                return Err(refused(path, "neither file, folder nor link"));
            }
        };
        tree.insert(path, node)?;
    }
    Ok((tree, spool))
}

fn file(at: At, size: u64, executable: bool) -> Node<At> {
    Node::File {
        executable,
        size,
        content: at,
    }
}

/// The root itself and all that is git's own.
fn is_left_out(path: &TreePath) -> bool {
    path.is_root() || path.names().any(|name| name == b".git")
}

/// All files' content, one after the other.
struct Spool {
    file: File,
    end: u64,
    written: Written,
}

impl Spool {
    fn new(scratch: &Path, written: &Written) -> Result<Self, Fault> {
        let file = tempfile::tempfile_in(scratch)
            .map_err(|error| Fault::machine("a temporary file for the archive", &error))?;
        Ok(Self {
            file,
            end: 0,
            written: written.clone(),
        })
    }

    fn take(&mut self, content: &mut impl Read, most: u64) -> Result<(At, u64), Fault> {
        let at = self.end;
        let room = most.saturating_sub(at);
        let mut bounded = content.take(room + 1);
        let copied = std::io::copy(&mut bounded, &mut self.written.counting(&self.file));
        // One call reads there and writes here: only writing lacks room.
        let size = copied.map_err(|error| {
            if is_full(&error) {
                Fault::machine("the archive's content", &error)
            } else {
                unreadable(&error)
            }
        })?;
        if size > room {
            return Err(Fault::too_large(format!(
                "the archive's files have more than {most} bytes"
            )));
        }
        self.end += size;
        Ok((at, size))
    }
}

impl Contents<At> for Spool {
    fn copy(&mut self, at: &At, size: u64, to: &mut dyn Write) -> Result<(), Fault> {
        let failed = |error: std::io::Error| Fault::machine("the archive's content", &error);
        self.file.seek(SeekFrom::Start(*at)).map_err(failed)?;
        std::io::copy(&mut (&mut self.file).take(size), to).map_err(failed)?;
        Ok(())
    }
}

fn unreadable(error: &dyn std::fmt::Display) -> Fault {
    Fault::hostile(format!(
        "the archive cannot be read, it must be a tar, compressed with gzip, zstd or not at all: {error}"
    ))
}

fn refused(path: &[u8], what: &str) -> Fault {
    Fault::hostile(format!("the archive has {}: {what}", path.escape_ascii()))
}
