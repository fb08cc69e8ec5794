//! Making files below one directory, and nowhere else.

mod bounds;
mod names;

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::rc::Rc;
use std::sync::Arc;

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Uid, chmodat, chownat, fchown, linkat, mkdirat, openat,
    readlinkat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::UnpackError;
use super::limits::Left;
use super::metadata::{dress, set_time, times};
use crate::IdMap;
use crate::archive::{Device, Entry, Kind, Mtime};
use crate::overlay::{Marks, is_whiteout_device};
use crate::tree::{DIRECTORY, FileKind, Tree, TreePath, stat, through_proc};
use bounds::Bounds;
use names::{clear, found, make_node};

/// The tree that a layer is unpacked into.
///
/// A path is resolved as a process with this root would: a symbolic link on the way leads to where it does inside, as with
/// every common engine. What is called by its last name is never followed and always made anew: an older entry of the
/// same name is unlinked first, so nothing is written through a link.
pub(super) struct Places<'a> {
    root: &'a Tree,
    marks: Marks,
    /// Whose directories are that no entry names: the container's root's.
    owner: (Uid, Gid),
    bounds: Bounds,
    /// The last directory that something was put into: archives are mostly sorted. Before a name in a directory is
    /// removed, the directory is this one, so it is never itself what was removed.
    last: Option<(TreePath, Rc<OwnedFd>)>,
    /// Directories that were made because something is in them, by their inode, with where they are.
    implicit: BTreeMap<(u64, u64), TreePath>,
}

impl<'a> Places<'a> {
    pub(super) fn new(
        root: &'a Tree,
        marks: Marks,
        ids: &IdMap,
        entries: u64,
    ) -> Result<Self, UnpackError> {
        let path = TreePath::root();
        let owner = ids.outside(0).unwrap_or_default();
        let given = fchown(
            root.fd(),
            Some(Uid::from_raw(owner)),
            Some(Gid::from_raw(owner)),
        );
        given.map_err(|error| UnpackError::disk(&path, error))?;
        Self::within(root, marks, (owner, owner), entries)
    }

    /// The same in a tree that is there already, whose root is left as it is. `owner` (user and group, outside) has the
    /// directories that no entry names.
    pub(super) fn within(
        root: &'a Tree,
        marks: Marks,
        owner: (u32, u32),
        entries: u64,
    ) -> Result<Self, UnpackError> {
        let path = TreePath::root();
        let owner = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
        let found = stat(root.fd(), b"").map_err(|error| UnpackError::disk(&path, error))?;
        Ok(Self {
            root,
            marks,
            owner,
            bounds: Bounds::new(Arc::new(Left::new(entries))),
            last: None,
            implicit: BTreeMap::from([(found.inode, path)]),
        })
    }

    /// The same with what others may make, too.
    pub(super) fn sharing(mut self, entries: Arc<Left>) -> Self {
        self.bounds = Bounds::new(entries);
        self
    }

    /// Takes the metadata that the layer has for its root.
    pub(super) fn root(&mut self, entry: &Entry) -> Result<(), UnpackError> {
        if entry.kind != Kind::Directory {
            return Err(UnpackError::refused(
                &entry.path,
                "the root is no directory",
            ));
        }
        let root = self.root.fd();
        self.explicit(root, b"", entry)
    }

    /// Makes a directory, or takes the metadata for one that is there.
    pub(super) fn directory(&mut self, entry: &Entry) -> Result<(), UnpackError> {
        self.bounds.remember(&entry.path)?;
        let (parent, name) = self.parent(&entry.path)?;
        let disk = |error| UnpackError::disk(&entry.path, error);
        match found(parent.as_fd(), &name).map_err(disk)? {
            Some(old) if old.kind == FileKind::Directory => {}
            Some(old) => {
                clear(parent.as_fd(), &name, &entry.path)?;
                self.make_directory(parent.as_fd(), &name, &entry.path)?;
                if is_whiteout_device(&old) {
                    self.marks.set_opaque(parent.as_fd(), &name).map_err(disk)?;
                }
            }
            None => self.make_directory(parent.as_fd(), &name, &entry.path)?,
        }
        self.explicit(parent.as_fd(), &name, entry)
    }

    /// Makes an empty file to write to.
    pub(super) fn file(&mut self, entry: &Entry) -> Result<File, UnpackError> {
        let (parent, name) = self.free(&entry.path)?;
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&parent, &name, flags, Mode::RUSR | Mode::WUSR);
        let file = file.map_err(|error| UnpackError::disk(&entry.path, error))?;
        Ok(File::from(file))
    }

    /// Makes what is neither file nor directory.
    pub(super) fn node(&mut self, entry: &Entry) -> Result<(), UnpackError> {
        if let Kind::HardLink(target) = &entry.kind {
            return self.hard_link(&entry.path, target);
        }
        let (parent, name) = self.free(&entry.path)?;
        let act = || {
            match &entry.kind {
                Kind::Symlink(target) => symlinkat(OsStr::from_bytes(target), &parent, &*name)?,
                Kind::Fifo => make_node(parent.as_fd(), &name, FileType::Fifo, NO_DEVICE)?,
                Kind::CharDevice(device) => {
                    make_node(parent.as_fd(), &name, FileType::CharacterDevice, *device)?;
                }
                Kind::BlockDevice(device) => {
                    make_node(parent.as_fd(), &name, FileType::BlockDevice, *device)?;
                }
                Kind::HardLink(_) | Kind::File(_) | Kind::Directory => {}
            }
            dress(parent.as_fd(), &name, entry)?;
            set_time(parent.as_fd(), &name, entry.mtime)
        };
        if matches!(entry.kind, Kind::CharDevice(NO_DEVICE)) {
            let why = "a device 0:0 would hide what lower layers have there";
            return Err(UnpackError::refused(&entry.path, why));
        }
        act().map_err(|error| UnpackError::disk(&entry.path, error))
    }

    /// Hides what lower layers have at `path`. What this layer has there stays: whiteouts are about lower layers only.
    pub(super) fn whiteout(&mut self, path: &TreePath) -> Result<(), UnpackError> {
        let (parent, name) = self.parent(path)?;
        let act = || match found(parent.as_fd(), &name)? {
            Some(old) if old.kind == FileKind::Directory => {
                self.marks.set_opaque(parent.as_fd(), &name)
            }
            Some(_) => Ok(()),
            None => make_node(parent.as_fd(), &name, FileType::CharacterDevice, NO_DEVICE),
        };
        act().map_err(|error| UnpackError::disk(path, error))?;
        self.bounds.count(path)
    }

    /// Hides what lower layers have in the directory `path`.
    pub(super) fn opaque(&mut self, path: &TreePath) -> Result<(), UnpackError> {
        let directory = self.directory_at(path)?;
        let set = self.marks.set_opaque(directory.as_fd(), b"");
        set.map_err(|error| UnpackError::disk(path, error))
    }

    pub(super) fn set_directory_time(
        &self,
        path: &TreePath,
        mtime: Mtime,
    ) -> Result<(), UnpackError> {
        let set = || match self.root.directory_in_root(path) {
            Ok(directory) => rustix::fs::futimens(&directory, &times(mtime)),
            // A later entry of the same name is no directory.
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
            Err(error) => Err(error),
        };
        set().map_err(|error| UnpackError::disk(path, error))
    }

    /// The directories that the layer says nothing of.
    pub(super) fn into_implicit(self) -> Vec<TreePath> {
        let mut paths: Vec<_> = self.implicit.into_values().collect();
        paths.sort_unstable();
        paths
    }

    fn hard_link(&mut self, path: &TreePath, target: &TreePath) -> Result<(), UnpackError> {
        let refuse = |why: &str| Err(UnpackError::refused(path, why));
        let Some((above, target_name)) = target.split() else {
            return refuse("it is a hard link to the root");
        };
        let from = match self.root.directory_in_root(&above) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
                return refuse(NO_TARGET);
            }
            other => other.map_err(|error| UnpackError::disk(path, error))?,
        };
        let found = found(from.as_fd(), target_name);
        match found.map_err(|error| UnpackError::disk(path, error))? {
            None => return refuse(NO_TARGET),
            Some(old) if is_whiteout_device(&old) => return refuse(NO_TARGET),
            Some(old) if old.kind == FileKind::Directory => {
                return refuse("it is a hard link to a directory");
            }
            Some(_) => {}
        }
        // Under a passing name first: the link may be to what has this name now.
        let (parent, name) = self.parent(path)?;
        self.bounds.count(path)?;
        let disk = |error| UnpackError::disk(path, error);
        let root = self.root.fd();
        linkat(&from, target_name, root, PASSING, AtFlags::empty()).map_err(disk)?;
        clear(parent.as_fd(), &name, path)?;
        rustix::fs::renameat(root, PASSING, &parent, &*name).map_err(disk)
    }

    /// The directory that `path` is in, and its name there.
    fn parent(&mut self, path: &TreePath) -> Result<(Rc<OwnedFd>, Vec<u8>), UnpackError> {
        let Some((above, name)) = path.split() else {
            return Err(UnpackError::refused(path, "it is the root"));
        };
        Ok((self.directory_at(&above)?, name.to_vec()))
    }

    /// The same, with nothing of that name left in it.
    fn free(&mut self, path: &TreePath) -> Result<(Rc<OwnedFd>, Vec<u8>), UnpackError> {
        self.bounds.count(path)?;
        let (parent, name) = self.parent(path)?;
        clear(parent.as_fd(), &name, path)?;
        Ok((parent, name))
    }

    /// Opens a directory, and makes it and those above it if they are not there.
    pub(super) fn directory_at(&mut self, path: &TreePath) -> Result<Rc<OwnedFd>, UnpackError> {
        if let Some((last, directory)) = &self.last
            && last == path
        {
            return Ok(Rc::clone(directory));
        }
        let directory = match self.root.directory_in_root(path) {
            Ok(directory) => directory,
            Err(Errno::NOENT | Errno::NOTDIR) => self.make_missing(path)?,
            Err(Errno::LOOP) => {
                return Err(UnpackError::refused(path, "links lead in a circle"));
            }
            Err(error) => return Err(UnpackError::disk(path, error)),
        };
        let directory = Rc::new(directory);
        self.last = Some((path.clone(), Rc::clone(&directory)));
        Ok(directory)
    }

    /// Makes the directories of `path` that are not there, from the deepest that is.
    fn make_missing(&mut self, path: &TreePath) -> Result<OwnedFd, UnpackError> {
        let mut missing = Vec::new();
        let mut at = path.clone();
        let mut directory = loop {
            let Some((above, name)) = at.split() else {
                break self.root.directory_in_root(&at);
            };
            missing.push(name.to_vec());
            at = above;
            match self.root.directory_in_root(&at) {
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                other => break other,
            }
        }
        .map_err(|error| UnpackError::disk(path, error))?;
        for name in missing.iter().rev() {
            self.bounds.count(path)?;
            let joined = at.join(name);
            at = joined.map_err(|error| UnpackError::refused(path, error))?;
            directory = self.make_implicit(directory.as_fd(), name, &at)?;
        }
        Ok(directory)
    }

    /// Makes the directory `path`, which is called `name` in `parent`.
    fn make_implicit(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        path: &TreePath,
    ) -> Result<OwnedFd, UnpackError> {
        let disk = |error| UnpackError::disk(path, error);
        let old = found(parent, name).map_err(disk)?;
        let was_whiteout = old.as_ref().is_some_and(is_whiteout_device);
        if was_whiteout {
            unlinkat(parent, name, AtFlags::empty()).map_err(disk)?;
        } else if old.is_some() {
            let why = "a file, or a link to nowhere, stands where it needs a directory";
            return Err(UnpackError::refused(path, why));
        }
        let act = || {
            mkdirat(parent, name, Mode::from_raw_mode(0o755))?;
            let (user, group) = self.owner;
            let itself = AtFlags::SYMLINK_NOFOLLOW;
            chownat(parent, name, Some(user), Some(group), itself)?;
            chmodat(parent, name, Mode::from_raw_mode(0o755), AtFlags::empty())?;
            if was_whiteout {
                self.marks.set_opaque(parent, name)?;
            }
            let made = openat(parent, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
            Ok((stat(made.as_fd(), b"")?.inode, made))
        };
        let (inode, made) = act().map_err(disk)?;
        let real = match self.root.directory(path) {
            Ok(_) => path.clone(),
            // There is a symbolic link on the way.
            Err(_) => self.real_path(&made, path)?,
        };
        self.bounds.remember(&real)?;
        self.implicit.insert(inode, real);
        Ok(made)
    }

    /// Where a directory is, all links resolved: what the kernel says.
    fn real_path(&self, directory: &OwnedFd, path: &TreePath) -> Result<TreePath, UnpackError> {
        let of = |fd: BorrowedFd<'_>| {
            let mut link = through_proc(fd, b"");
            link.pop();
            readlinkat(rustix::fs::CWD, link, Vec::new()).map(CString::into_bytes)
        };
        let below = || {
            let (root, full) = (of(self.root.fd())?, of(directory.as_fd())?);
            full.strip_prefix(&*root)
                .map(<[u8]>::to_vec)
                .ok_or(Errno::XDEV)
        };
        let below = below().map_err(|error| UnpackError::disk(path, error))?;
        TreePath::parse(&below).map_err(|error| UnpackError::refused(path, error))
    }

    fn make_directory(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        path: &TreePath,
    ) -> Result<(), UnpackError> {
        self.bounds.count(path)?;
        let made = mkdirat(parent, name, Mode::RWXU);
        made.map_err(|error| UnpackError::disk(path, error))
    }

    /// Gives a directory the metadata that the layer has for it.
    fn explicit(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        entry: &Entry,
    ) -> Result<(), UnpackError> {
        let act = || {
            dress(parent, name, entry)?;
            stat(parent, name)
        };
        let found = act().map_err(|error| UnpackError::disk(&entry.path, error))?;
        self.implicit.remove(&found.inode);
        Ok(())
    }

    /// How many files and directories were made.
    pub(super) fn made(&self) -> u64 {
        self.bounds.made
    }
}

const NO_DEVICE: Device = Device { major: 0, minor: 0 };
const NO_TARGET: &str = "it is a hard link to what this layer does not have";
/// No layer has this name: it is a whiteout's that hides nothing.
const PASSING: &str = ".wh.";
