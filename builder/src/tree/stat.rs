//! What a file is, by its inode.

use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, FileType, statat};

use crate::archive::{Device, Mtime};

/// The metadata of one file that layers speak of. Identities are those of the process that asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stat {
    pub(crate) kind: FileKind,
    /// The permission bits, set-user-ID and their like: `07777`.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Bytes of a regular file.
    pub(crate) size: u64,
    pub(crate) mtime: Mtime,
    /// When it last changed in any way. No program chooses this one.
    pub(crate) ctime: Mtime,
    /// What a device node stands for.
    pub(crate) device: Device,
    /// How many names it has.
    pub(crate) links: u64,
    /// File system and inode.
    pub(crate) inode: (u64, u64),
}

/// The kinds of files there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    Regular,
    Directory,
    Symlink,
    CharDevice,
    BlockDevice,
    Fifo,
    Socket,
}

/// Looks at `name` in `directory`, or at the directory itself if it is empty. Follows no symbolic link.
pub(crate) fn stat(directory: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<Stat> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH;
    let found = statat(directory, name, flags)?;
    let kind = match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile => FileKind::Regular,
        FileType::Directory => FileKind::Directory,
        FileType::Symlink => FileKind::Symlink,
        FileType::CharacterDevice => FileKind::CharDevice,
        FileType::BlockDevice => FileKind::BlockDevice,
        FileType::Fifo => FileKind::Fifo,
        FileType::Socket => FileKind::Socket,
        FileType::Unknown => return Err(rustix::io::Errno::OPNOTSUPP),
    };
    let nanoseconds = |of| u32::try_from(of).unwrap_or_default();
    Ok(Stat {
        kind,
        mode: found.st_mode & 0o7777,
        uid: found.st_uid,
        gid: found.st_gid,
        size: u64::try_from(found.st_size).unwrap_or_default(),
        mtime: Mtime {
            seconds: found.st_mtime,
            nanoseconds: nanoseconds(found.st_mtime_nsec),
        },
        ctime: Mtime {
            seconds: found.st_ctime,
            nanoseconds: nanoseconds(found.st_ctime_nsec),
        },
        device: Device {
            major: rustix::fs::major(found.st_rdev),
            minor: rustix::fs::minor(found.st_rdev),
        },
        links: found.st_nlink,
        inode: (found.st_dev, found.st_ino),
    })
}
