//! Copying a tree, and measuring one, whatever a hostile build made of it.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, SeekFrom, Timespec, Timestamps, UTIME_OMIT, Uid, chownat, fchmod,
    fchown, futimens, mkdirat, openat, readlinkat, seek, symlinkat, utimensat,
};
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use super::{FileKind, Stat, Tree, TreePath, names, stat};

/// Copies folders, files and links of `from` to the folder `to`, which is made, with their owners, modes and times of
/// change; holes stay holes. False: cancelled in the middle. More than `most` bytes, as [`tree_bytes`] counts them with each name's own, and names
/// that lead deeper than a path can be long are an error.
pub(crate) fn copy_tree(
    from: &Path,
    to: &Path,
    most: u64,
    cancelled: &CancellationToken,
) -> io::Result<bool> {
    let mut left = most;
    std::fs::create_dir(to)?;
    let (from, to) = (Tree::open(from)?, Tree::open(to)?);
    let mut waiting = vec![TreePath::root()];
    while let Some(path) = waiting.pop() {
        let (source, target) = (from.directory(&path)?, to.directory(&path)?);
        for name in names(source.as_fd())? {
            if cancelled.is_cancelled() {
                return Ok(false);
            }
            let found = stat(source.as_fd(), &name)?;
            // A name of many has the whole file after this.
            let bytes = match found.kind {
                FileKind::Regular => ENTRY.saturating_add(found.size),
                _ => ENTRY,
            };
            left = left.checked_sub(bytes).ok_or_else(|| {
                io::Error::new(io::ErrorKind::FileTooLarge, format!("over {most} bytes"))
            })?;
            if copy(source.as_fd(), target.as_fd(), &name, &found)? {
                waiting.push(path.join(&name).map_err(io::Error::other)?);
            }
        }
        let found = stat(source.as_fd(), b"")?;
        fchown(
            &target,
            Some(Uid::from_raw(found.uid)),
            Some(Gid::from_raw(found.gid)),
        )?;
        fchmod(&target, Mode::from_raw_mode(found.mode & 0o777))?;
        // Nothing more comes into it.
        futimens(&target, &times(&found))?;
    }
    Ok(true)
}

/// How many bytes the files of a tree have. Names that lead deeper than a path can be long are an error.
pub(crate) fn tree_bytes(folder: &Path) -> io::Result<u64> {
    let tree = Tree::open(folder)?;
    let mut bytes = 0;
    let mut waiting = vec![TreePath::root()];
    while let Some(path) = waiting.pop() {
        let directory = tree.directory(&path)?;
        for name in names(directory.as_fd())? {
            let found = stat(directory.as_fd(), &name)?;
            // Names are not free.
            bytes += ENTRY;
            match found.kind {
                FileKind::Directory => waiting.push(path.join(&name).map_err(io::Error::other)?),
                FileKind::Regular => bytes += found.size / found.links.max(1),
                _ => {}
            }
        }
    }
    Ok(bytes)
}

/// Copies one name. True: it is a directory, which was made and is still empty.
fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &[u8], found: &Stat) -> io::Result<bool> {
    match found.kind {
        FileKind::Directory => {
            mkdirat(to, name, Mode::RWXU)?;
            return Ok(true);
        }
        FileKind::Symlink => {
            let target = readlinkat(from, name, Vec::new())?;
            symlinkat(&*target, to, name)?;
        }
        FileKind::Regular => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let mut source = File::from(openat(from, name, flags, Mode::empty())?);
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            let mut target = File::from(openat(to, name, flags, Mode::RUSR | Mode::WUSR)?);
            copy_data(&mut source, &mut target, found.size)?;
            fchmod(&target, Mode::from_raw_mode(found.mode & 0o777))?;
        }
        _ => return Ok(false),
    }
    let (user, group) = (Uid::from_raw(found.uid), Gid::from_raw(found.gid));
    chownat(to, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
    utimensat(to, name, &times(found), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(false)
}

fn times(found: &Stat) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: found.mtime.seconds,
            tv_nsec: found.mtime.nanoseconds.into(),
        },
    }
}

/// Copies a file's first `size` bytes without its holes.
fn copy_data(source: &mut File, target: &mut File, size: u64) -> io::Result<()> {
    let mut at = 0;
    while at < size {
        at = match seek(&*source, SeekFrom::Data(at)) {
            Ok(data) => data.min(size),
            // Nothing but a hole is left.
            Err(Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        let end = seek(&*source, SeekFrom::Hole(at))?.min(size);
        seek(&*source, SeekFrom::Start(at))?;
        seek(&*target, SeekFrom::Start(at))?;
        let copied = io::copy(&mut source.by_ref().take(end - at), target)?;
        if copied == 0 {
            break;
        }
        at = end;
    }
    target.set_len(size)
}

const ENTRY: u64 = 1024;
