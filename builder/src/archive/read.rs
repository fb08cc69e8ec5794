//! Reading an archive, strictly.

use std::io::{self, Read};

use super::block::{self, Block, Dialect};
use super::pax::{self, Extended};
use super::{BLOCK, Device, Entry, Kind, Mtime, padding};
use crate::tree::{InvalidPath, TreePath};

/// An archive that is read from its beginning to its end. Between entries, reading it yields the content of the last.
pub(crate) struct Reader<R> {
    source: R,
    /// Content of the current entry that was not read yet, and the padding behind it.
    left: u64,
    padding: usize,
    /// Bytes of the archive so far.
    at: u64,
    ended: bool,
}

/// Why an archive could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    /// Whoever delivers it failed.
    #[error("{0}")]
    Source(#[from] io::Error),
    /// The bytes are no archive that is taken; where and why.
    #[error("the archive's entry at byte {at}: {why}")]
    Malformed { at: u64, why: &'static str },
}

impl<R: Read> Reader<R> {
    pub(crate) fn new(source: R) -> Self {
        Self {
            source,
            left: 0,
            padding: 0,
            at: 0,
            ended: false,
        }
    }

    /// The next entry; whatever is left of the last one's content is skipped. `None` at the end, when all bytes of
    /// the source were read.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, ArchiveError> {
        if self.ended {
            return Ok(None);
        }
        self.skip_content()?;
        let start = self.at;
        let refuse = |why| ArchiveError::Malformed { at: start, why };
        let mut before = Before::default();
        loop {
            let Some(block) = self.block()? else {
                if before.is_some() {
                    return Err(refuse(
                        "an extended header is not followed by what it extends",
                    ));
                }
                self.end()?;
                return Ok(None);
            };
            if !block.is_sound() {
                return Err(refuse("the check sum of its header is wrong"));
            }
            let dialect = block.dialect().map_err(refuse)?;
            match block.entry_type() {
                b'x' => before.set_pax(&self.extension(&block)?),
                b'L' => before.set_gnu_path(self.extension(&block)?),
                b'K' => before.set_gnu_link(self.extension(&block)?),
                b'g' if pax::is_comment(&self.extension(&block)?) => Ok(()),
                b'g' => Err("a global header would change the entries behind it"),
                _ => {
                    let entry = before.entry(&block, dialect).map_err(refuse)?;
                    if let Kind::File(size) = entry.kind {
                        self.left = size;
                        self.padding = padding(size);
                    }
                    return Ok(Some(entry));
                }
            }
            .map_err(refuse)?;
        }
    }

    /// The source, after the end.
    pub(crate) fn into_inner(self) -> R {
        self.source
    }

    /// The content of a header that extends the next.
    fn extension(&mut self, block: &Block) -> Result<Vec<u8>, ArchiveError> {
        let at = self.at;
        let refuse = |why| ArchiveError::Malformed { at, why };
        let size = block.number(block::SIZE).map_err(refuse)?;
        let size = usize::try_from(size).ok();
        let size = size.filter(|size| *size <= MAX_EXTENSION);
        let size = size.ok_or(refuse("its extended header is over 1 MiB"))?;
        let mut content = vec![0; size + padding(size as u64)];
        self.fill(&mut content)?;
        content.truncate(size);
        Ok(content)
    }

    /// The next block that is not of zeros; `None` at the end of the archive.
    fn block(&mut self) -> Result<Option<Block>, ArchiveError> {
        let mut block = Block::zero();
        // Some writers leave out the blocks of zeros at the end.
        let first = loop {
            match self.source.read(&mut block.0[..1]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        if first == 0 {
            return Ok(None);
        }
        self.at += 1;
        self.fill(&mut block.0[1..])?;
        Ok((!block.is_zero()).then_some(block))
    }

    /// Behind the end there may be zeros and nothing else: what else there is, some readers would go on with.
    fn end(&mut self) -> Result<(), ArchiveError> {
        self.ended = true;
        let mut buffer = [0; 8 * BLOCK];
        loop {
            let read = self.source.read(&mut buffer)?;
            if read == 0 {
                return Ok(());
            }
            if buffer[..read].iter().any(|byte| *byte != 0) {
                let why = "there is something behind the end of the archive";
                return Err(ArchiveError::Malformed { at: self.at, why });
            }
            self.at += read as u64;
        }
    }

    fn skip_content(&mut self) -> Result<(), ArchiveError> {
        let mut buffer = [0; 16 * BLOCK];
        while self.left > 0 {
            if self.read(&mut buffer)? == 0 {
                return Err(self.truncated());
            }
        }
        let padding = std::mem::take(&mut self.padding);
        self.fill(&mut buffer[..padding])
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), ArchiveError> {
        match self.source.read_exact(buffer) {
            Ok(()) => {
                self.at += buffer.len() as u64;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.truncated()),
            Err(error) => Err(error.into()),
        }
    }

    fn truncated(&self) -> ArchiveError {
        ArchiveError::Malformed {
            at: self.at,
            why: "the archive ends in the middle",
        }
    }
}

/// The content of the current entry. An archive that ends in it is an error of kind `UnexpectedEof`.
impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let most = most.min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let read = self.source.read(&mut buffer[..most])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read as u64;
        self.at += read as u64;
        Ok(read)
    }
}

/// Longest extended header. Linux has at most 64 KiB of attributes on a file.
const MAX_EXTENSION: usize = 1 << 20;

/// What the headers in front of an entry said of it.
#[derive(Default)]
struct Before {
    pax: Option<Extended>,
    gnu_path: Option<Vec<u8>>,
    gnu_link: Option<Vec<u8>>,
}

impl Before {
    fn is_some(&self) -> bool {
        self.pax.is_some() || self.gnu_path.is_some() || self.gnu_link.is_some()
    }

    fn set_pax(&mut self, content: &[u8]) -> Result<(), &'static str> {
        if self.is_some() {
            return Err(TWO_HEADERS);
        }
        self.pax = Some(Extended::parse(content)?);
        Ok(())
    }

    fn set_gnu_path(&mut self, content: Vec<u8>) -> Result<(), &'static str> {
        if self.pax.is_some() || self.gnu_path.is_some() {
            return Err(TWO_HEADERS);
        }
        self.gnu_path = Some(gnu_text(content));
        Ok(())
    }

    fn set_gnu_link(&mut self, content: Vec<u8>) -> Result<(), &'static str> {
        if self.pax.is_some() || self.gnu_link.is_some() {
            return Err(TWO_HEADERS);
        }
        self.gnu_link = Some(gnu_text(content));
        Ok(())
    }

    /// The entry of `block`, as extended.
    fn entry(self, block: &Block, dialect: Dialect) -> Result<Entry, &'static str> {
        let pax = self.pax.unwrap_or_default();
        let name = pax.path.or(self.gnu_path);
        let name = name.unwrap_or_else(|| name_of(block, dialect));
        let link = pax.link.or(self.gnu_link);
        let link = link.unwrap_or_else(|| block.text(block::LINK).to_vec());
        let size = size(block, pax.size)?;
        let path = TreePath::parse(&name).map_err(in_words)?;
        let kind = kind(block, dialect, size, link)?;
        let slash = name.ends_with(b"/") || name.ends_with(b"/.");
        if name.is_empty() {
            return Err("its name is empty");
        }
        if (slash || path.is_root()) && kind != Kind::Directory {
            return Err("it is named as a directory and is none");
        }
        if !matches!(kind, Kind::File(_)) && size != 0 {
            return Err("it has a size and is no file");
        }
        Ok(Entry {
            path,
            kind,
            mode: u32::try_from(block.number(block::MODE)? & 0o7777).unwrap_or_default(),
            uid: id(block, block::UID, pax.uid)?,
            gid: id(block, block::GID, pax.gid)?,
            mtime: match pax.mtime {
                Some(mtime) => mtime,
                None => Mtime {
                    seconds: block.number(block::MTIME)?,
                    nanoseconds: 0,
                },
            },
            xattrs: pax.xattrs,
        })
    }
}

const TWO_HEADERS: &str = "two extended headers speak of it";

/// GNU ends a long name with a NUL.
fn gnu_text(mut content: Vec<u8>) -> Vec<u8> {
    if let Some(end) = content.iter().position(|byte| *byte == 0) {
        content.truncate(end);
    }
    content
}

fn name_of(block: &Block, dialect: Dialect) -> Vec<u8> {
    let prefix = match dialect {
        Dialect::Ustar => block.text(block::PREFIX),
        Dialect::V7 | Dialect::Gnu => b"",
    };
    if prefix.is_empty() {
        return block.text(block::NAME).to_vec();
    }
    [prefix, block.text(block::NAME)].join(&b'/')
}

/// What comes from the header and what comes from its extension must not disagree: readers differ on which counts, and
/// whoever takes the other finds entries in the content.
fn size(block: &Block, extended: Option<u64>) -> Result<u64, &'static str> {
    let plain = block.number(block::SIZE)?;
    let plain = u64::try_from(plain).map_err(|_| "its size is negative")?;
    match extended {
        Some(extended) if plain != 0 && plain != extended => {
            Err("its header and its extended header give two sizes")
        }
        Some(extended) if i64::try_from(extended).is_err() => Err("its size is too large"),
        Some(extended) => Ok(extended),
        None => Ok(plain),
    }
}

fn id(block: &Block, field: block::Field, extended: Option<u64>) -> Result<u32, &'static str> {
    const BAD: &str = "its owner is no user or group that Linux has";
    let id = match extended {
        Some(id) => id,
        None => u64::try_from(block.number(field)?).map_err(|_| BAD)?,
    };
    // The largest means "leave it as it is" to chown(2).
    let id = u32::try_from(id).ok().filter(|id| *id != u32::MAX);
    id.ok_or(BAD)
}

fn kind(block: &Block, dialect: Dialect, size: u64, link: Vec<u8>) -> Result<Kind, &'static str> {
    if link.contains(&0) || link.len() > TreePath::MAX {
        return Err("the target of its link is too long or holds a NUL byte");
    }
    Ok(match block.entry_type() {
        // '7' is a file that asks to lie in one piece on the disk.
        b'0' | 0 | b'7' => Kind::File(size),
        b'1' => Kind::HardLink(TreePath::parse(&link).map_err(in_words)?),
        b'2' if link.is_empty() => return Err("its link leads nowhere"),
        b'2' => Kind::Symlink(link),
        b'3' => Kind::CharDevice(device(block, dialect)?),
        b'4' => Kind::BlockDevice(device(block, dialect)?),
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        b'S' => return Err("it is a sparse file in GNU's format, which is not taken"),
        _ => return Err("its type is not one of POSIX"),
    })
}

fn device(block: &Block, dialect: Dialect) -> Result<Device, &'static str> {
    const BAD: &str = "its device number is none";
    if dialect == Dialect::V7 {
        return Err(BAD);
    }
    let number = |field| u32::try_from(block.number(field)?).map_err(|_| BAD);
    Ok(Device {
        major: number(block::MAJOR)?,
        minor: number(block::MINOR)?,
    })
}

fn in_words(error: InvalidPath) -> &'static str {
    match error {
        InvalidPath::Element => "its path or its link's leads out of the layer with '..'",
        InvalidPath::Nul => "its path holds a NUL byte",
        InvalidPath::TooLong => {
            "its path is longer than 4095 bytes, or a name in it longer than 255"
        }
    }
}
