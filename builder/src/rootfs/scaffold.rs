//! A layer of directories on top of the base layers of one build.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd as _;

use super::metadata::outside;
use super::place::Places;
use super::{StoredLayer, UnpackError};
use crate::IdMap;
use crate::archive::{Entry, Kind, Mtime, Xattrs};
use crate::layer::Node;
use crate::overlay::{Marks, Union};
use crate::tree::{FileKind, Tree, TreePath, stat};

/// Makes, in the empty directory `scaffold`, a layer that lies on `layers` (the topmost first) and has
///
/// - the directories that a layer had something in without an entry of their own, with the metadata that a layer below
///   says: overlayfs would show those of the topmost layer, which the unpacker had to invent (`/tmp` would be closed);
/// - `mountpoints` that are not there: made in the build's upper directory by a runtime, they would be in the image.
pub(super) fn scaffold(
    scaffold: &Tree,
    layers: &[&StoredLayer],
    marks: Marks,
    ids: &IdMap,
    mountpoints: &[TreePath],
) -> Result<(), UnpackError> {
    let trees = layers.iter().map(|layer| layer.tree()).collect();
    let implicit = layers.iter().map(|layer| layer.record.implicit().collect());
    let mut work = Scaffold {
        tree: scaffold,
        union: Union::new(trees, marks),
        implicit: implicit.collect(),
        places: Places::new(scaffold, marks, ids, u64::MAX)?,
        ids,
        times: BTreeMap::new(),
    };
    work.ensure(&TreePath::root())?;
    let invented: BTreeSet<_> = work.implicit.iter().flatten().cloned().collect();
    for path in invented {
        work.correct(&path)?;
    }
    for path in mountpoints {
        work.mountpoint(path)?;
    }
    for (path, mtime) in &work.times {
        work.places.set_directory_time(path, *mtime)?;
    }
    Ok(())
}

struct Scaffold<'a> {
    tree: &'a Tree,
    union: Union<'a>,
    /// The directories that each layer says nothing of.
    implicit: Vec<BTreeSet<TreePath>>,
    places: Places<'a>,
    ids: &'a IdMap,
    /// The directories that were made.
    times: BTreeMap<TreePath, Mtime>,
}

impl Scaffold<'_> {
    /// Makes a directory again if its metadata is that of a layer that had to invent it.
    fn correct(&mut self, path: &TreePath) -> Result<(), UnpackError> {
        let found = self.union.find_path(path);
        let found = found.map_err(|error| UnpackError::disk(path, error))?;
        let Some(found) = found.filter(|found| found.stat.kind == FileKind::Directory) else {
            return Ok(());
        };
        let is_said = |layer: &usize| !self.implicit[*layer].contains(path);
        match found.layers.iter().find(|layer| is_said(layer)) {
            Some(layer) if *layer != found.layer => self.ensure(path),
            _ => Ok(()),
        }
    }

    /// Makes a directory for something to be mounted on, unless there is something.
    fn mountpoint(&mut self, path: &TreePath) -> Result<(), UnpackError> {
        let Some((above, _)) = path.split() else {
            return Ok(());
        };
        let disk = |error| UnpackError::disk(path, error);
        if self.union.find_path(path).map_err(disk)?.is_some() {
            return Ok(());
        }
        // Where a link or a file is on the way, only the runtime can tell what is meant.
        let mut at = above;
        loop {
            match self.union.find_path(&at).map_err(disk)? {
                Some(found) if found.stat.kind == FileKind::Directory => break,
                Some(_) => return Ok(()),
                None => match at.split() {
                    Some((above, _)) => at = above,
                    None => break,
                },
            }
        }
        self.ensure(path)
    }

    /// Makes a directory and those above it, as the layers below have them.
    fn ensure(&mut self, path: &TreePath) -> Result<(), UnpackError> {
        let mut missing = Vec::new();
        let mut at = path.clone();
        while !self.times.contains_key(&at) {
            missing.push(at.clone());
            match at.split() {
                Some((above, _)) => at = above,
                None => break,
            }
        }
        for path in missing.into_iter().rev() {
            let entry = self.as_below(&path)?;
            if path.is_root() {
                self.places.root(&entry)?;
            } else {
                self.places.directory(&entry)?;
            }
            self.times.insert(path, entry.mtime);
        }
        Ok(())
    }

    /// The entry of a directory, from the topmost layer that says something of it.
    fn as_below(&self, path: &TreePath) -> Result<Entry, UnpackError> {
        let disk = |error| UnpackError::disk(path, error);
        let Some(found) = self.union.find_path(path).map_err(disk)? else {
            return self.unknown(path);
        };
        let is_said = |layer: &usize| !self.implicit[*layer].contains(path);
        match found.layers.into_iter().find(is_said) {
            Some(layer) => directory_entry(self.union.layer(layer), path),
            None => plain(path, self.ids),
        }
    }

    /// A directory that no layer has belongs to whom the one above belongs to, as if that user had made it: what is mounted
    /// below a home must not close it to its owner.
    fn unknown(&self, path: &TreePath) -> Result<Entry, UnpackError> {
        let mut entry = plain(path, self.ids)?;
        if let Some((above, _)) = path.split() {
            let disk = |error| UnpackError::disk(path, error);
            let above = self.tree.directory(&above).map_err(disk)?;
            let above = stat(above.as_fd(), b"").map_err(disk)?;
            (entry.uid, entry.gid) = (above.uid, above.gid);
        }
        Ok(entry)
    }
}

/// Gives the root of one tree the metadata of another's.
pub(super) fn like_root(
    from: &Tree,
    to: &Tree,
    marks: Marks,
    ids: &IdMap,
) -> Result<(), UnpackError> {
    let root = TreePath::root();
    let entry = directory_entry(from, &root)?;
    let mut places = Places::new(to, marks, ids, 1)?;
    places.root(&entry)?;
    places.set_directory_time(&root, entry.mtime)
}

fn directory_entry(tree: &Tree, path: &TreePath) -> Result<Entry, UnpackError> {
    let disk = |error| UnpackError::disk(path, error);
    let directory = tree.directory(path).map_err(disk)?;
    let found = stat(directory.as_fd(), b"").map_err(disk)?;
    // What is on the disk is copied as it is.
    let ids = IdMap::identity();
    let node = Node {
        ids: &ids,
        epoch: None,
    };
    let entry = node.entry(path, directory.as_fd(), b"", &found);
    let entry = entry.map_err(|error| UnpackError::refused(path, error))?;
    // Only a socket has no entry.
    entry.ok_or_else(|| UnpackError::refused(path, "it is no directory"))
}

/// A directory of which no layer says anything.
fn plain(path: &TreePath, ids: &IdMap) -> Result<Entry, UnpackError> {
    let mut entry = Entry {
        path: path.clone(),
        kind: Kind::Directory,
        mode: 0o755,
        uid: 0,
        gid: 0,
        mtime: Mtime::default(),
        xattrs: Xattrs::new(),
    };
    outside(&mut entry, ids)?;
    Ok(entry)
}
