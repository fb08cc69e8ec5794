//! All repositories of a source as one tree.

use std::io::Write;

use tokio_util::sync::CancellationToken;

use super::job::Fetched;
use super::lfs;
use super::objects::Objects;
use super::reader::{Reader, missing};
use super::revision::ObjectId;
use super::trees::{Kind, Listed, list};
use crate::source::snapshot::Contents;
use crate::source::tree::{Node, Tree};
use crate::source::{Fault, SourceLimits};

/// Where a file's content is.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// A blob of one of the repositories.
    Blob { repository: u32, id: ObjectId },
    /// A file of Git LFS, by its SHA-256, of one of the repositories.
    Lfs { repository: u32, id: Box<str> },
}

/// The repositories that a source is made of, and its large files.
pub(super) struct Stored {
    pub(super) repositories: Vec<Objects>,
    pub(super) lfs: Option<lfs::Files>,
}

impl Contents<Content> for Stored {
    fn copy(&mut self, content: &Content, size: u64, to: &mut dyn Write) -> Result<(), Fault> {
        match (content, &mut self.lfs) {
            (Content::Blob { repository, id }, _) => {
                self.repositories[*repository as usize].copy(id, size, to)
            }
            (Content::Lfs { id, .. }, Some(files)) => files.copy(id, size, to),
            (Content::Lfs { .. }, None) => Ok(()),
        }
    }
}

/// What repositories were gathered: one tree, and one budget, for all of them. Their entries are nowhere else.
pub(super) struct Gathered {
    pub(super) tree: Tree<Content>,
    repositories: u32,
    /// Pointers of Git LFS, whether or not they were taken for what they stand for.
    pub(super) pointers: usize,
    /// Whether they are taken so.
    lfs: bool,
    most_submodules: usize,
    stop: CancellationToken,
}

/// The submodules that one repository names.
#[derive(Default)]
pub(super) struct Submodules {
    /// Path in the repository and commit of as many as may be fetched.
    pub(super) first: Vec<(Vec<u8>, ObjectId)>,
    pub(super) count: usize,
}

/// A repository's tree, as [`Gathered::add`] takes it.
pub(super) struct Listing {
    at: Vec<u8>,
    objects: Objects,
    tree: ObjectId,
    is_whole: bool,
}

impl Listing {
    pub(super) fn of(fetched: &Fetched) -> Self {
        Self {
            at: fetched.at.clone(),
            objects: fetched.objects.clone(),
            tree: fetched.tree.clone(),
            is_whole: fetched.context_dir.is_root(),
        }
    }
}

impl Gathered {
    pub(super) fn new(limits: SourceLimits, lfs: bool, stop: CancellationToken) -> Self {
        Self {
            tree: Tree::new(limits),
            repositories: 0,
            pointers: 0,
            lfs,
            most_submodules: limits.submodules,
            stop,
        }
    }

    /// Puts a repository's entries into the tree. Blocks, until it is stopped.
    pub(super) fn add(&mut self, of: &Listing) -> Result<Submodules, Fault> {
        let repository = self.repositories;
        self.repositories += 1;
        let mut submodules = Submodules::default();
        // A `.gitattributes` above the context directory is not here to be read: then there may be pointers.
        let mut has_pointers = !of.is_whole;
        let mut reader = of.objects.reader();
        list(&mut reader, &of.tree, |reader, entry| {
            if self.stop.is_cancelled() {
                return Err(Fault::stopped());
            }
            if entry.kind == Kind::Submodule {
                submodules.count += 1;
                if submodules.count <= self.most_submodules {
                    submodules
                        .first
                        .push((entry.path.clone(), entry.id.clone()));
                }
            }
            has_pointers = has_pointers || names_lfs(&entry, reader)?;
            let path = below(&of.at, &entry.path);
            self.tree.insert(&path, node(entry, repository, reader)?)
        })?;
        if has_pointers {
            self.look_for_pointers(repository, &mut reader)?;
        }
        Ok(submodules)
    }

    fn look_for_pointers(&mut self, of: u32, reader: &mut Reader) -> Result<(), Fault> {
        let Self {
            tree,
            pointers,
            lfs,
            stop,
            ..
        } = self;
        tree.replace(|_, node| {
            let Node::File {
                executable,
                size,
                content: Content::Blob { repository, id },
            } = node
            else {
                return Ok(None);
            };
            if *repository != of || *size > lfs::MAX_POINTER {
                return Ok(None);
            }
            if stop.is_cancelled() {
                return Err(Fault::stopped());
            }
            let text = read(reader, id, *size)?;
            let pointer = lfs::Pointer::parse(&text, *executable);
            *pointers += usize::from(pointer.is_some());
            Ok(pointer.filter(|_| *lfs).map(|pointer| pointer.node(of)))
        })
    }
}

fn node(entry: Listed, repository: u32, reader: &mut Reader) -> Result<Node<Content>, Fault> {
    let size = || entry.size.ok_or_else(|| missing(&entry.id));
    Ok(match entry.kind {
        Kind::Folder | Kind::Submodule => Node::Folder,
        Kind::Link if size()? > MAX_LINK => {
            return Err(Fault::hostile("a link's target is longer than 4 KiB"));
        }
        Kind::Link => Node::Link {
            target: link(read(reader, &entry.id, size()?)?)?.into(),
        },
        Kind::File { executable } => Node::File {
            executable,
            size: size()?,
            content: Content::Blob {
                repository,
                id: entry.id,
            },
        },
    })
}

/// Whether it is a `.gitattributes` that names the filter of Git LFS.
fn names_lfs(entry: &Listed, reader: &mut Reader) -> Result<bool, Fault> {
    let is_attributes = entry.path.rsplit(|b| *b == b'/').next() == Some(b".gitattributes");
    match entry.size {
        Some(size) if is_attributes && size <= lfs::MAX_ATTRIBUTES => {
            let text = read(reader, &entry.id, size)?;
            Ok(text.windows(10).any(|words| words == b"filter=lfs"))
        }
        _ => Ok(false),
    }
}

/// Longest target of a link, in bytes: Linux's.
const MAX_LINK: u64 = 4095;

fn link(target: Vec<u8>) -> Result<Vec<u8>, Fault> {
    if target.is_empty() || target.contains(&0) {
        return Err(Fault::hostile(
            "a link's target is empty or has a NUL in it",
        ));
    }
    Ok(target)
}

fn read(reader: &mut Reader, id: &ObjectId, size: u64) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    reader.blob(id, size, &mut bytes)?;
    Ok(bytes)
}

pub(super) fn below(folder: &[u8], path: &[u8]) -> Vec<u8> {
    if folder.is_empty() {
        return path.to_vec();
    }
    [folder, b"/", path].concat()
}
