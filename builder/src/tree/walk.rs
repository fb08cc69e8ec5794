//! Looking through a tree that nobody changes meanwhile.

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, openat, readlinkat};

use super::{FileKind, Stat, Tree, TreePath, names, stat, xattr};
use crate::archive::Xattrs;

#[cfg(test)]
mod tests;

/// Something in a tree.
pub(crate) struct Met<'d> {
    /// Where it is.
    pub(crate) path: TreePath,
    /// What it is.
    pub(crate) stat: Stat,
    /// Where a symbolic link leads.
    pub(crate) target: Vec<u8>,
    /// A regular file, open for reading.
    pub(crate) file: Option<File>,
    directory: BorrowedFd<'d>,
}

impl Met<'_> {
    /// Its extended attributes, whatever they are for.
    pub(crate) fn attributes(&self) -> io::Result<Xattrs> {
        let name = self.path.split().map_or(&b""[..], |(_, name)| name);
        Ok(xattr::all(self.directory, name)?)
    }
}

/// Folders that wait to be looked into, at most: their paths are held.
const MAX_WAITING: usize = 100_000;

/// Meets a tree's root and whatever is in it, as far as it `is_meant`, until told to break: what it was told. Names that lead deeper than a path can be long
/// are an error, and more folders beside each other than can be kept in mind. `is_meant` is asked of all there is, and ends it by an error.
pub(crate) fn walk<B>(
    folder: &Path,
    is_meant: impl Fn(&Stat) -> io::Result<bool>,
    look: impl FnMut(Met<'_>) -> io::Result<ControlFlow<B>>,
) -> io::Result<Option<B>> {
    walk_with(MAX_WAITING, folder, is_meant, look)
}

fn walk_with<B>(
    max_waiting: usize,
    folder: &Path,
    is_meant: impl Fn(&Stat) -> io::Result<bool>,
    mut look: impl FnMut(Met<'_>) -> io::Result<ControlFlow<B>>,
) -> io::Result<Option<B>> {
    let tree = Tree::open(folder)?;
    let root = stat(tree.fd(), b"")?;
    if is_meant(&root)? {
        let met = Met {
            path: TreePath::root(),
            stat: root,
            target: Vec::new(),
            file: None,
            directory: tree.fd(),
        };
        if let ControlFlow::Break(told) = look(met)? {
            return Ok(Some(told));
        }
    }
    let mut waiting = vec![TreePath::root()];
    while let Some(folder) = waiting.pop() {
        let directory = tree.directory(&folder)?;
        for name in names(directory.as_fd())? {
            let found = stat(directory.as_fd(), &name)?;
            let path = folder.join(&name).map_err(io::Error::other)?;
            if found.kind == FileKind::Directory {
                if waiting.len() == max_waiting {
                    return Err(io::Error::other("there are too many folders"));
                }
                waiting.push(path.clone());
            }
            if !is_meant(&found)? {
                continue;
            }
            let mut met = Met {
                path,
                stat: found,
                target: Vec::new(),
                file: None,
                directory: directory.as_fd(),
            };
            match met.stat.kind {
                FileKind::Symlink => {
                    met.target = readlinkat(&directory, &*name, Vec::new())?.into_bytes();
                }
                FileKind::Regular => {
                    let flags =
                        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                    met.file = Some(openat(&directory, &*name, flags, Mode::empty())?.into());
                }
                _ => {}
            }
            if let ControlFlow::Break(told) = look(met)? {
                return Ok(Some(told));
            }
        }
    }
    Ok(None)
}
