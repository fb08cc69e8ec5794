//! Copying a tree, and measuring one, whatever a hostile build made of it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, Uid, chownat, fchmod, fchown, mkdirat, openat, readlinkat,
    symlinkat,
};
use tokio_util::sync::CancellationToken;

use super::{FileKind, Stat, Tree, TreePath, names, stat};

/// Copies folders, files and links of `from` to the folder `to`, which is made, with their owners and modes. Where the file
/// system can, files share their blocks until one is written to. False: cancelled in the middle. Names that lead deeper than a
/// path can be long are an error.
pub(crate) fn copy_tree(from: &Path, to: &Path, cancelled: &CancellationToken) -> io::Result<bool> {
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
    }
    Ok(true)
}

/// How many bytes the files of a tree have.
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
                FileKind::Directory => waiting.extend(path.join(&name)),
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
            io::copy(&mut source, &mut target)?;
            fchmod(&target, Mode::from_raw_mode(found.mode & 0o777))?;
        }
        _ => return Ok(false),
    }
    let (user, group) = (Uid::from_raw(found.uid), Gid::from_raw(found.gid));
    chownat(to, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(false)
}

const ENTRY: u64 = 1024;
