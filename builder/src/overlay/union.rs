//! What is seen of a stack of layers, without mounting it.

use std::collections::BTreeSet;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::io::Errno;

use super::{Marks, Opaque, is_whiteout_device};
use crate::tree::{FileKind, Stat, Tree, TreePath, names, stat};

/// Layers on top of each other, the topmost first.
#[derive(Clone, Debug)]
pub(crate) struct Union<'a> {
    layers: Vec<&'a Tree>,
    marks: Marks,
}

/// A directory of a union: the layers that have part of it, the topmost first, each with its part.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    parts: Vec<(usize, OwnedFd)>,
}

/// Something in a directory of a union.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) stat: Stat,
    /// The layer whose it is; of a directory, the topmost.
    pub(crate) layer: usize,
    /// Of a directory, all layers that have part of it.
    pub(crate) layers: Vec<usize>,
}

impl<'a> Union<'a> {
    pub(crate) fn new(layers: Vec<&'a Tree>, marks: Marks) -> Self {
        Self { layers, marks }
    }

    /// The layers that the root is made of: all.
    pub(crate) fn root(&self) -> Vec<usize> {
        (0..self.layers.len()).collect()
    }

    /// Opens the parts of a directory that `layers` have.
    pub(crate) fn open(&self, path: &TreePath, layers: &[usize]) -> rustix::io::Result<Seen> {
        let part = |layer: &usize| Ok((*layer, self.layers[*layer].directory(path)?));
        let parts = layers.iter().map(part).collect::<rustix::io::Result<_>>()?;
        Ok(Seen { parts })
    }

    /// What has this name in a directory.
    pub(crate) fn find(&self, directory: &Seen, name: &[u8]) -> rustix::io::Result<Option<Found>> {
        let mut found: Option<Found> = None;
        for (layer, part) in &directory.parts {
            let stat = match stat(part.as_fd(), name) {
                // The name of a whiteout may be too long for a file.
                Err(Errno::NOENT | Errno::NAMETOOLONG) => continue,
                other => other?,
            };
            if is_whiteout_device(&stat) {
                break;
            }
            let is_directory = stat.kind == FileKind::Directory;
            match &mut found {
                None => {
                    found = Some(Found {
                        stat,
                        layer: *layer,
                        layers: vec![*layer],
                    });
                }
                Some(above) if is_directory => above.layers.push(*layer),
                Some(_) => break,
            }
            if !is_directory || self.marks.opaque(part.as_fd(), name)? == Opaque::Yes {
                break;
            }
        }
        Ok(found)
    }

    /// What is at a path; `None` also if something on the way is no directory. Links are not followed.
    pub(crate) fn find_path(&self, path: &TreePath) -> rustix::io::Result<Option<Found>> {
        let root = self.root();
        let Some(topmost) = root.first() else {
            return Ok(None);
        };
        let mut found = Found {
            stat: stat(self.layers[*topmost].fd(), b"")?,
            layer: *topmost,
            layers: root,
        };
        let mut at = TreePath::root();
        for name in path.names() {
            if found.stat.kind != FileKind::Directory {
                return Ok(None);
            }
            let directory = self.open(&at, &found.layers)?;
            match self.find(&directory, name)? {
                Some(next) => found = next,
                None => return Ok(None),
            }
            // Each is the beginning of a path that is short enough.
            at = at.join(name).map_err(|_| Errno::NAMETOOLONG)?;
        }
        Ok(Some(found))
    }

    /// All names that are seen in a directory.
    pub(crate) fn names(&self, directory: &Seen) -> std::io::Result<BTreeSet<Vec<u8>>> {
        let mut all = BTreeSet::new();
        for (_, part) in &directory.parts {
            all.extend(names(part.as_fd())?);
        }
        let mut seen = BTreeSet::new();
        for name in all {
            if self.find(directory, &name)?.is_some() {
                seen.insert(name);
            }
        }
        Ok(seen)
    }

    /// One of the layers.
    pub(crate) fn layer(&self, index: usize) -> &'a Tree {
        self.layers[index]
    }
}

impl Seen {
    /// The part that one layer has.
    pub(crate) fn part(&self, layer: usize) -> Option<&OwnedFd> {
        let part = self.parts.iter().find(|(index, _)| *index == layer);
        part.map(|(_, part)| part)
    }
}
