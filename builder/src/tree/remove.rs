//! Removing a tree, whatever a hostile build made of it.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, chmodat, openat, renameat_with, unlinkat};
use rustix::io::Errno;

use super::{DIRECTORY, FileKind, names, stat};

/// Removes what is called `name` in `directory` and all below it. What is not there is no error.
///
/// Nothing recurses and no path is built: a directory is moved up beside the first before it is emptied, so a tree that is
/// a hundred thousand directories deep costs neither stack nor open files, and a symbolic link is only ever unlinked.
pub(crate) fn remove_tree(directory: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    match unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    let mut waiting = vec![name.to_vec()];
    while let Some(name) = waiting.pop() {
        empty(directory, &name, &mut waiting)?;
        unlinkat(directory, &name, AtFlags::REMOVEDIR)?;
    }
    Ok(())
}

/// Unlinks the files of a directory and moves its directories up into `parent`, to wait there.
fn empty(parent: BorrowedFd<'_>, name: &[u8], waiting: &mut Vec<Vec<u8>>) -> io::Result<()> {
    let inner = opened(parent, name, || {
        openat(parent, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
    })?;
    for child in names(inner.as_fd())? {
        if stat(inner.as_fd(), &child)?.kind != FileKind::Directory {
            unlinkat(&inner, &child, AtFlags::empty())?;
            continue;
        }
        let aside = opened(inner.as_fd(), &child, || {
            move_up(inner.as_fd(), &child, parent)
        })?;
        waiting.push(aside);
    }
    Ok(())
}

/// Does `act`, once more if a directory is closed to its own owner, who is an ordinary user.
fn opened<T>(
    parent: BorrowedFd<'_>,
    name: &[u8],
    act: impl Fn() -> rustix::io::Result<T>,
) -> rustix::io::Result<T> {
    match act() {
        Err(Errno::ACCESS) => {
            chmodat(parent, name, Mode::RWXU, AtFlags::empty())?;
            act()
        }
        other => other,
    }
}

fn move_up(from: BorrowedFd<'_>, child: &[u8], to: BorrowedFd<'_>) -> rustix::io::Result<Vec<u8>> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let aside = format!(".aside.{number}").into_bytes();
        match renameat_with(from, child, to, &aside, RenameFlags::NOREPLACE) {
            // A process that was killed while it removed left it.
            Err(Errno::EXIST) => {}
            other => return other.map(|()| aside),
        }
    }
}
