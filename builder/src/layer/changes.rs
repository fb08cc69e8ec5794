//! Walking what a build left in the upper directory of an overlay, against what was below it.

use std::collections::{BTreeSet, HashMap};
use std::io::Write;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use super::content::{Content, Contents};
use super::{ExportError, Node};
use crate::archive::{Entry, Kind, Mtime, Writer, Xattrs};
use crate::overlay::{Found, Marks, Opaque, Seen, Union};
use crate::tree::{FileKind, Stat, Tree, TreePath, names, stat, xattr};

/// The upper directory of an overlay, and the layers that it lay on. Nothing may run in the overlay any more.
#[derive(Clone, Debug)]
pub struct Changes<'a> {
    upper: &'a Tree,
    lower: Union<'a>,
    marks: Marks,
}

impl<'a> Changes<'a> {
    /// What `upper` changes in `lower`, the topmost first. `marks` is the kind that the overlay was mounted with.
    pub fn new(upper: &'a Tree, lower: Vec<&'a Tree>, marks: Marks) -> Self {
        let lower = Union::new(lower, marks);
        Self {
            upper,
            lower,
            marks,
        }
    }
}

/// A walk that writes each change as it comes to it: directories before what is in them, names in the order of their
/// bytes. What was copied up and is the same as below is left out; a directory that something below it was written of is
/// there with its metadata, as engines that unpack each layer by itself have it from nowhere else.
pub(super) struct Walk<'a, W> {
    changes: &'a Changes<'a>,
    node: Node<'a>,
    out: Writer<W>,
    /// Where each file that has several names was written first.
    links: HashMap<(u64, u64), TreePath>,
    /// How many bytes of their paths may still be remembered.
    memory: usize,
    directories: Vec<Directory>,
    left: u64,
    limit: u64,
    cancelled: &'a CancellationToken,
    contents: Contents<'a>,
}

/// A directory on the way from the root to where the walk is.
struct Directory {
    path: TreePath,
    /// The lower layers that have part of it.
    below: Vec<usize>,
    /// Whether what those have here is hidden, so that what is not here must be said to be gone.
    hides: bool,
    mark: Opaque,
    names: std::vec::IntoIter<Vec<u8>>,
    open: Option<Open>,
    /// Its own entry, if nothing demanded it yet.
    unwritten: Option<Entry>,
}

struct Open {
    upper: OwnedFd,
    lower: Seen,
}

impl<'a, W: Write> Walk<'a, W> {
    pub(super) fn new(
        changes: &'a Changes<'a>,
        node: Node<'a>,
        sink: W,
        limit: u64,
        cancelled: &'a CancellationToken,
    ) -> Self {
        Self {
            changes,
            node,
            out: Writer::new(sink),
            links: HashMap::new(),
            memory: MEMORY,
            directories: Vec::new(),
            left: limit,
            limit,
            cancelled,
            contents: Contents::new(cancelled),
        }
    }

    /// Writes all changes. Gives back the archive, which is still to be ended.
    pub(super) fn run(mut self) -> Result<Writer<W>, ExportError> {
        self.root()?;
        while let Some(mut directory) = self.directories.pop() {
            let Some(name) = directory.names.next() else {
                continue;
            };
            if self.cancelled.is_cancelled() {
                return Err(ExportError::Cancelled);
            }
            let open = match directory.open.take() {
                Some(open) => open,
                None => self.open(&directory.path, &directory.below)?,
            };
            let inner = self.visit(&mut directory, &open, &name)?;
            // So deep, descriptors are worth more than the time to open a directory again.
            if inner.is_none() || self.directories.len() < KEPT_OPEN {
                directory.open = Some(open);
            }
            self.directories.push(directory);
            self.directories.extend(inner);
        }
        Ok(self.out)
    }

    fn root(&mut self) -> Result<(), ExportError> {
        let path = TreePath::root();
        let upper = self.changes.upper.fd();
        let found = stat(upper, b"").map_err(|error| ExportError::read(&path, error))?;
        let below = self.changes.lower.root();
        let old = self.changes.lower.find_path(&path);
        let old = old.map_err(|error| ExportError::read(&path, error))?;
        let entry = self.node.entry(&path, upper, b"", &found)?;
        let old_entry = match &old {
            Some(old) => {
                let layer = self.changes.lower.layer(old.layer);
                self.node.entry(&path, layer.fd(), b"", &old.stat)?
            }
            None => None,
        };
        if let Some(entry) = entry
            && Some(&entry) != old_entry.as_ref()
        {
            self.write(&entry)?;
        }
        // Every engine makes the root of an image; its entry says nothing unless it was changed.
        let root = self.enter(path, below, false, None)?;
        self.directories.push(root);
        Ok(())
    }

    /// Writes what `name` in `directory` changes. A directory is given back, to be walked next.
    fn visit(
        &mut self,
        directory: &mut Directory,
        open: &Open,
        name: &[u8],
    ) -> Result<Option<Directory>, ExportError> {
        let upper = open.upper.as_fd();
        let path = directory.path.join(name);
        let path = path.map_err(|error| ExportError::refused(&directory.path, error))?;
        let read = |error| ExportError::read(&path, error);
        let below = self.changes.lower.find(&open.lower, name).map_err(read)?;
        let found = match stat(upper, name) {
            Err(Errno::NOENT | Errno::NAMETOOLONG) => None,
            other => Some(other.map_err(read)?),
        };
        let marks = self.changes.marks;
        let found = match found {
            Some(found) => {
                let is_whiteout = marks.is_whiteout(directory.mark, upper, name, &found);
                (!is_whiteout.map_err(read)?).then_some(found)
            }
            None => None,
        };
        let Some(found) = found else {
            return self.gone(directory, name, below.as_ref()).map(|()| None);
        };
        self.check(&path, upper, name, &found)?;
        let Some(entry) = self.node.entry(&path, upper, name, &found)? else {
            // A socket means nothing without the process that listened on it.
            return self.gone(directory, name, below.as_ref()).map(|()| None);
        };
        let old = match &below {
            Some(old) => {
                let part = open.lower.part(old.layer);
                let part = part.ok_or_else(|| ExportError::read(&path, Errno::STALE))?;
                self.node.entry(&path, part.as_fd(), name, &old.stat)?
            }
            None => None,
        };
        let is_same = old.as_ref() == Some(&entry);
        if found.kind == FileKind::Directory {
            let unwritten = if is_same {
                Some(entry)
            } else {
                self.write_below(directory, &entry)?;
                None
            };
            let is_directory = |old: &Found| old.stat.kind == FileKind::Directory;
            let layers = below.filter(is_directory).map(|old| old.layers);
            let layers = layers.unwrap_or_default();
            return self
                .enter(path, layers, directory.hides, unwritten)
                .map(Some);
        }
        if let Some(old) = below.filter(|_| is_same)
            && self.is_same_file(&entry, (open, name), (&found, &old))?
        {
            return Ok(None);
        }
        self.file(directory, entry, upper, name, &found)?;
        Ok(None)
    }

    /// Begins a directory.
    fn enter(
        &self,
        path: TreePath,
        below: Vec<usize>,
        hides: bool,
        unwritten: Option<Entry>,
    ) -> Result<Directory, ExportError> {
        let read = |error: std::io::Error| ExportError::read(&path, error);
        let open = self.open(&path, &below)?;
        let mark = self.changes.marks.opaque(open.upper.as_fd(), b"");
        let mark = mark.map_err(|error| read(error.into()))?;
        let hides = hides || mark == Opaque::Yes;
        let mut all = names(open.upper.as_fd()).map_err(read)?;
        if hides {
            // Image-spec asks for whiteouts of each name rather than for one of the directory.
            let lower = self.changes.lower.names(&open.lower).map_err(read)?;
            let merged: BTreeSet<_> = all.into_iter().chain(lower).collect();
            all = merged.into_iter().collect();
        }
        Ok(Directory {
            path,
            below,
            hides,
            mark,
            names: all.into_iter(),
            open: Some(open),
            unwritten,
        })
    }

    fn open(&self, path: &TreePath, below: &[usize]) -> Result<Open, ExportError> {
        let act = || {
            Ok(Open {
                upper: self.changes.upper.directory(path)?,
                lower: self.changes.lower.open(path, below)?,
            })
        };
        act().map_err(|error: Errno| ExportError::read(path, error))
    }

    /// Refuses what would mean something else to whoever unpacks it.
    fn check(
        &self,
        path: &TreePath,
        upper: BorrowedFd<'_>,
        name: &[u8],
        found: &Stat,
    ) -> Result<(), ExportError> {
        if name.starts_with(WHITEOUT) {
            let why = "a name that begins with '.wh.' would take away a file of the base image";
            return Err(ExportError::refused(path, why));
        }
        let mark = match found.kind {
            FileKind::Directory => "redirect",
            FileKind::Regular => "metacopy",
            _ => return Ok(()),
        };
        let attribute = self.changes.marks.attribute(mark);
        let value = xattr::get(upper, name, &attribute);
        if value
            .map_err(|error| ExportError::read(path, error))?
            .is_some()
        {
            let why = format!("the overlay keeps part of it elsewhere: mount it with {mark} off");
            return Err(ExportError::refused(path, why));
        }
        Ok(())
    }

    /// Writes a whiteout, if there is something to hide.
    fn gone(
        &mut self,
        directory: &mut Directory,
        name: &[u8],
        below: Option<&Found>,
    ) -> Result<(), ExportError> {
        if below.is_none() {
            return Ok(());
        }
        let path = directory.path.join(&[WHITEOUT, name].concat());
        let path = path.map_err(|error| ExportError::refused(&directory.path, error))?;
        let whiteout = Entry {
            path,
            kind: Kind::File(0),
            mode: 0,
            uid: 0,
            gid: 0,
            mtime: Mtime::default(),
            xattrs: Xattrs::new(),
        };
        self.write_below(directory, &whiteout)
    }

    /// Whether a file is that of the lower layer, of which it has the entry.
    fn is_same_file(
        &mut self,
        entry: &Entry,
        (open, name): (&Open, &[u8]),
        (found, old): (&Stat, &Found),
    ) -> Result<bool, ExportError> {
        // One name of several was a link below and is a file of its own here, or the other way round.
        if found.links > 1 || old.stat.links > 1 {
            return Ok(false);
        }
        let Some(part) = open.lower.part(old.layer) else {
            return Ok(false);
        };
        if !matches!(entry.kind, Kind::File(_)) {
            return Ok(true);
        }
        let content = |directory, stat| Content {
            path: &entry.path,
            directory,
            name,
            stat,
        };
        let here = content(open.upper.as_fd(), found);
        self.contents
            .are_same(here, content(part.as_fd(), &old.stat))
    }

    fn file(
        &mut self,
        directory: &mut Directory,
        mut entry: Entry,
        upper: BorrowedFd<'_>,
        name: &[u8],
        found: &Stat,
    ) -> Result<(), ExportError> {
        if found.links > 1 {
            if let Some(first) = self.links.get(&found.inode) {
                entry.kind = Kind::HardLink(first.clone());
                entry.xattrs = Xattrs::new();
                return self.write_below(directory, &entry);
            }
            let left = self.memory.checked_sub(entry.path.as_bytes().len());
            let why = "the paths of files with several names are over 64 MiB";
            self.memory = left.ok_or_else(|| ExportError::refused(&entry.path, why))?;
            self.links.insert(found.inode, entry.path.clone());
        }
        self.write_below(directory, &entry)?;
        let Kind::File(size) = entry.kind else {
            return Ok(());
        };
        self.count(size)?;
        let content = Content {
            path: &entry.path,
            directory: upper,
            name,
            stat: found,
        };
        let out = &mut self.out;
        self.contents.copy(content, |bytes| out.content(bytes))?;
        self.out.pad(size).map_err(ExportError::Sink)
    }

    /// Writes an entry of `directory`, and first those of the directories above that were not yet needed.
    fn write_below(&mut self, directory: &mut Directory, entry: &Entry) -> Result<(), ExportError> {
        let mut above: Vec<_> = self
            .directories
            .iter_mut()
            .filter_map(|directory| directory.unwritten.take())
            .collect();
        above.extend(directory.unwritten.take());
        for directory in &above {
            self.write(directory)?;
        }
        self.write(entry)
    }

    fn write(&mut self, entry: &Entry) -> Result<(), ExportError> {
        self.count(HEADER)?;
        self.out.header(entry).map_err(ExportError::Sink)
    }

    fn count(&mut self, bytes: u64) -> Result<(), ExportError> {
        let limit = self.limit;
        let left = self.left.checked_sub(bytes);
        self.left = left.ok_or(ExportError::TooLarge { limit })?;
        Ok(())
    }
}

const MEMORY: usize = 64 << 20;
/// Image-spec `layer.md`, Whiteouts.
const WHITEOUT: &[u8] = b".wh.";
/// Directories on the way that stay open; each has a descriptor of its own and one for every layer below it.
const KEPT_OPEN: usize = 16;
/// What an entry counts for beside its content.
const HEADER: u64 = 512;
