//! All repositories of a source as one tree.

use std::io::Write;

use super::job::Fetched;
use super::lfs;
use super::objects::{Blobs, Kind, Listed};
use super::revision::ObjectId;
use crate::source::snapshot::Contents;
use crate::source::tree::{Node, Tree};
use crate::source::{Fault, SourceLimits};

/// Where a file's content is.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// A blob of one of the repositories.
    Blob { repository: usize, id: ObjectId },
    /// A file of Git LFS, by its SHA-256.
    Lfs(String),
}

/// The repositories that a source is made of, and its large files.
pub(super) struct Stored {
    pub(super) readers: Vec<Blobs>,
    pub(super) lfs: Option<lfs::Files>,
}

impl Contents<Content> for Stored {
    fn copy(&mut self, content: &Content, size: u64, to: &mut dyn Write) -> Result<(), Fault> {
        match (content, &mut self.lfs) {
            (Content::Blob { repository, id }, _) => self.readers[*repository].copy(id, size, to),
            (Content::Lfs(id), Some(files)) => files.copy(id, size, to),
            (Content::Lfs(_), None) => Ok(()),
        }
    }
}

pub(super) type Gathered = (Tree<Content>, Vec<lfs::Large>, Vec<Fetched>);

/// Puts all repositories' entries into one tree. Blocks.
pub(super) fn gather(all: Vec<Fetched>, limits: SourceLimits) -> Result<Gathered, Fault> {
    let mut tree = Tree::new(limits);
    let mut pointers = Vec::new();
    for (repository, fetched) in all.iter().enumerate() {
        let sized = sized(fetched)?;
        let mut reader = fetched.objects.blobs()?;
        let has_pointers = uses_lfs(fetched, &sized, &mut reader)?;
        for (entry, size) in sized {
            let path = below(&fetched.at, &entry.path);
            let node = match entry.kind {
                Kind::Folder | Kind::Submodule => Node::Folder,
                Kind::Link if size > MAX_LINK => {
                    return Err(Fault::hostile("a link's target is longer than 4 KiB"));
                }
                Kind::Link => Node::Link {
                    target: link(read(&mut reader, &entry.id, size)?)?,
                },
                Kind::File { executable } => {
                    if has_pointers && size <= lfs::MAX_POINTER {
                        let text = read(&mut reader, &entry.id, size)?;
                        let pointer = lfs::Pointer::parse(&text, executable);
                        pointers.extend(pointer.map(|pointer| lfs::Large {
                            repository,
                            path: path.clone(),
                            pointer,
                        }));
                    }
                    let id = entry.id.clone();
                    Node::File {
                        executable,
                        size,
                        content: Content::Blob { repository, id },
                    }
                }
            };
            tree.insert(&path, node)?;
        }
    }
    Ok((tree, pointers, all))
}

/// The entries with their content's sizes.
fn sized(fetched: &Fetched) -> Result<Vec<(&Listed, u64)>, Fault> {
    let blobs = fetched.listed.iter().filter(|entry| is_blob(entry.kind));
    let blobs: Vec<ObjectId> = blobs.map(|entry| entry.id.clone()).collect();
    let mut sizes = Vec::with_capacity(blobs.len());
    fetched.objects.sizes(&blobs, |size| {
        sizes.push(size);
        Ok(())
    })?;
    let mut sizes = sizes.into_iter();
    let with_size = |entry: &'_ Listed| {
        let size = is_blob(entry.kind).then(|| sizes.next());
        size.flatten().unwrap_or_default()
    };
    let sizes: Vec<u64> = fetched.listed.iter().map(with_size).collect();
    Ok(fetched.listed.iter().zip(sizes).collect())
}

/// Whether a `.gitattributes` names the filter of Git LFS. One above the context directory is not here to be read: then
/// there may be pointers.
fn uses_lfs(
    fetched: &Fetched,
    sized: &[(&Listed, u64)],
    reader: &mut Blobs,
) -> Result<bool, Fault> {
    if !fetched.context_dir.is_root() {
        return Ok(true);
    }
    for (entry, size) in sized {
        let is_attributes = entry.path.rsplit(|b| *b == b'/').next() == Some(b".gitattributes");
        if is_attributes && is_blob(entry.kind) && *size <= lfs::MAX_ATTRIBUTES {
            let text = read(reader, &entry.id, *size)?;
            if text.windows(10).any(|words| words == b"filter=lfs") {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Longest target of a link, in bytes: Linux's.
const MAX_LINK: u64 = 4095;

fn is_blob(kind: Kind) -> bool {
    matches!(kind, Kind::File { .. } | Kind::Link)
}

fn link(target: Vec<u8>) -> Result<Vec<u8>, Fault> {
    if target.is_empty() || target.contains(&0) {
        return Err(Fault::hostile(
            "a link's target is empty or has a NUL in it",
        ));
    }
    Ok(target)
}

fn read(reader: &mut Blobs, id: &ObjectId, size: u64) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    reader.copy(id, size, &mut bytes)?;
    Ok(bytes)
}

pub(super) fn below(folder: &[u8], path: &[u8]) -> Vec<u8> {
    if folder.is_empty() {
        return path.to_vec();
    }
    [folder, b"/", path].concat()
}
