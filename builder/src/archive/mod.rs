//! The archive format of layers: POSIX pax (IEEE Std 1003.1-2017, utility `pax`), read with GNU's long names as well.
//!
//! Archives that two readers take for different lists of files are how content gets past a check, so the reader
//! refuses what the common ones (GNU tar, Go's archive/tar) disagree on, rather than to choose.

mod block;
mod pax;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;

use crate::tree::TreePath;

pub(crate) use read::{ArchiveError, Reader};
pub(crate) use write::Writer;

/// One file as an archive has it, without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) path: TreePath,
    pub(crate) kind: Kind,
    /// Permission bits: `07777`.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: Mtime,
    pub(crate) xattrs: Xattrs,
}

/// Extended attributes by name.
pub(crate) type Xattrs = BTreeMap<Vec<u8>, Vec<u8>>;

/// What kind of file, with what only that kind has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A regular file of so many bytes.
    File(u64),
    Directory,
    /// To where: any bytes, not necessarily a path that exists.
    Symlink(Vec<u8>),
    /// Another name of an earlier entry.
    HardLink(TreePath),
    CharDevice(Device),
    BlockDevice(Device),
    Fifo,
}

/// What a device node stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Device {
    pub(crate) major: u32,
    pub(crate) minor: u32,
}

/// When content last changed, since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mtime {
    pub(crate) seconds: i64,
    /// Below 1,000,000,000; counted forwards also before 1970.
    pub(crate) nanoseconds: u32,
}

/// Size of everything: headers, and what content is padded to.
const BLOCK: usize = 512;

/// How many bytes follow `size` bytes to fill their last block.
fn padding(size: u64) -> usize {
    let over = size % BLOCK as u64;
    // Both are below 512.
    usize::try_from((BLOCK as u64 - over) % BLOCK as u64).unwrap_or_default()
}
