//! Removing a tree, whatever a hostile build made of it.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, chmodat, openat, renameat_with, unlinkat};
use rustix::io::Errno;

use super::{DIRECTORY, FileKind, some_names, stat};

/// Removes what is called `name` in `directory` and all below it. What is not there, or is removed by somebody else
/// meanwhile, is no error.
///
/// Nothing that a build made recurses, no path is built and no list is long: a directory is moved up beside the first before it is emptied, so a
/// tree that is a hundred thousand directories deep or wide costs neither stack nor open files nor memory, and a symbolic
/// link is only ever unlinked.
pub(crate) fn remove_tree(directory: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    match unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    let mut waiting = vec![name.to_vec()];
    while let Some(name) = waiting.last() {
        let inner = match open(directory, name) {
            Err(Errno::NOENT) => {
                waiting.pop();
                continue;
            }
            other => other?,
        };
        let children = some_names(inner.as_fd(), BATCH)?;
        if children.is_empty() {
            gone(unlinkat(directory, name, AtFlags::REMOVEDIR))?;
            waiting.pop();
            continue;
        }
        for child in children {
            waiting.extend(take_out(directory, inner.as_fd(), &child)?);
        }
    }
    Ok(())
}

/// Unlinks a file, or moves a directory up into `top`, to wait there under the name that is given back.
fn take_out(
    top: BorrowedFd<'_>,
    parent: BorrowedFd<'_>,
    child: &[u8],
) -> io::Result<Option<Vec<u8>>> {
    let is_directory = match stat(parent, child) {
        Err(Errno::NOENT) => return Ok(None),
        other => other?.kind == FileKind::Directory,
    };
    if !is_directory {
        gone(unlinkat(parent, child, AtFlags::empty()))?;
        return Ok(None);
    }
    match opened(parent, child, || move_up(parent, child, top)) {
        Err(Errno::NOENT) => Ok(None),
        // On an overlay, a directory of a lower layer stays where it is. None is deeper than a path is long.
        Err(Errno::XDEV) => remove_tree(parent, child).map(|()| None),
        other => Ok(Some(other?)),
    }
}

fn open(parent: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<std::os::fd::OwnedFd> {
    let flags = DIRECTORY | OFlags::NOFOLLOW;
    opened(parent, name, || openat(parent, name, flags, Mode::empty()))
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
            // Another process has it, or left it when it was killed.
            Err(Errno::EXIST) => {}
            other => return other.map(|()| aside),
        }
    }
}

fn gone(removed: rustix::io::Result<()>) -> rustix::io::Result<()> {
    match removed {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// How many names are looked at before they are gone.
const BATCH: usize = 4096;
