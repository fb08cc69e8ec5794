//! A tree of files that nothing leads out of.
//!
//! Every access begins at an open directory. Paths are resolved by the kernel under `openat2(2)`'s rules, names by calls
//! that take a directory and do not follow symbolic links: there is no moment between a check and its use.

mod copy;
mod path;
mod remove;
mod stat;
#[cfg(test)]
mod tests;
mod walk;
pub(crate) mod xattr;

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Dir, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

pub(crate) use copy::{copy_tree, tree_bytes};
pub use path::{InvalidPath, TreePath};
pub(crate) use remove::remove_tree;
pub(crate) use stat::{FileKind, Stat, stat};
pub(crate) use walk::{Met, walk};

/// The root directory of a tree, held open.
#[derive(Debug)]
pub struct Tree(OwnedFd);

impl Tree {
    /// The tree at `path`, which the operator named: symbolic links on the way to it are followed.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(openat(CWD, path, DIRECTORY, Mode::empty())?))
    }

    /// The tree below a directory that is open already.
    pub fn of(directory: OwnedFd) -> Self {
        Self(directory)
    }

    /// The root for calls that take a directory.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Opens a directory for reading. No symbolic link on the way is followed: one is `ELOOP`.
    pub(crate) fn directory(&self, path: &TreePath) -> rustix::io::Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ALWAYS;
        self.resolve(path, resolve)
    }

    /// Opens a directory as a process whose root this tree is would: symbolic links lead to where they do in the tree.
    pub(crate) fn directory_in_root(&self, path: &TreePath) -> rustix::io::Result<OwnedFd> {
        self.resolve(path, ResolveFlags::IN_ROOT | ALWAYS)
    }

    fn resolve(&self, path: &TreePath, resolve: ResolveFlags) -> rustix::io::Result<OwnedFd> {
        let path = if path.is_root() {
            b"."
        } else {
            path.as_bytes()
        };
        open_within(self.fd(), path, DIRECTORY, resolve)
    }
}

/// `openat2(2)`, tried again where it says `EAGAIN`: something on this machine was renamed or mounted while `..` was walked, and
/// the kernel cannot tell whether the path stayed inside. Not for ever: an image's links can be so long that this is always so.
pub(crate) fn open_within(
    directory: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
    resolve: ResolveFlags,
) -> rustix::io::Result<OwnedFd> {
    for _ in 0..MOST_TRIES {
        match openat2(directory, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
    Err(Errno::AGAIN)
}

/// The names in a directory, sorted by their bytes. More than a million are an error.
pub(crate) fn names(directory: BorrowedFd<'_>) -> io::Result<Vec<Vec<u8>>> {
    let mut names = some_names(directory, MOST_NAMES + 1)?;
    if names.len() > MOST_NAMES {
        return Err(io::Error::other("the directory has over a million names"));
    }
    names.sort_unstable();
    Ok(names)
}

/// At most so many of the names in a directory.
fn some_names(directory: BorrowedFd<'_>, most: usize) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != DOT && name != DOT_DOT {
            names.push(name.to_bytes().to_vec());
        }
        if names.len() == most {
            break;
        }
    }
    Ok(names)
}

/// A path that leads to `name` in an open directory, for calls that only take paths. With their `l` forms, which do
/// not follow a symbolic link at the end, it is as safe as a call that takes the directory.
pub(crate) fn through_proc(directory: BorrowedFd<'_>, name: &[u8]) -> Vec<u8> {
    let mut path = format!("/proc/thread-self/fd/{}/", directory.as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    path
}

/// What a layer has at most by default, and a list of it in memory.
const MOST_NAMES: usize = 1_000_000;
/// A usual path is walked in a few microseconds.
const MOST_TRIES: usize = 10_000;
const DOT: &CStr = c".";
const DOT_DOT: &CStr = c"..";
pub(crate) const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);
/// No magic links of `/proc`, no file system mounted below.
const ALWAYS: ResolveFlags = ResolveFlags::NO_MAGICLINKS.union(ResolveFlags::NO_XDEV);
