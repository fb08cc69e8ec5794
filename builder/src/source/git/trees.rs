//! What trees name: git's folders, as they are stored.

use super::reader::{ObjectKind, Reader};
use super::revision::ObjectId;
use crate::source::Fault;

mod order;
#[cfg(test)]
mod tests;

use order::Order;

/// An entry of a tree and all of those above it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) kind: Kind,
    pub(super) id: ObjectId,
    /// Of a file's or a link's content, if that is here.
    pub(super) size: Option<u64>,
    /// From the tree that was listed.
    pub(super) path: Vec<u8>,
}

/// What an entry is, by its mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Folder,
    File { executable: bool },
    Link,
    Submodule,
}

/// How many files git is asked about at a time: a pipe has room for the question (64 KiB, pipe(7)), lest writing it waits for git.
const ASKED: usize = 500;

/// Calls `each` for every entry below a tree, folders before what is in them. Blocks.
///
/// Of what `each` has not refused, only the names of folders are kept that are still to be gone into. None is there twice, so that
/// its bounds are those of this, too.
pub(super) fn list(
    reader: &mut Reader,
    tree: &ObjectId,
    mut each: impl FnMut(&mut Reader, Listed) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut path = Vec::new();
    let mut levels = vec![(0, folder(reader, tree, &path, &mut each)?)];
    while let Some((above, folders)) = levels.last_mut() {
        path.truncate(*above);
        let Some(next) = folders.next() else {
            levels.pop();
            continue;
        };
        let next = next?;
        path.extend_from_slice(next.name);
        path.push(b'/');
        let id = next.id();
        let within = folder(reader, &id, &path, &mut each)?;
        levels.push((path.len(), within));
    }
    Ok(())
}

/// What of this name is in a tree. Blocks.
pub(super) fn find(
    reader: &mut Reader,
    tree: &ObjectId,
    name: &[u8],
) -> Result<Option<(Kind, ObjectId)>, Fault> {
    let mut entries = Entries::of(reader.tree(tree)?, tree);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        if entry.name == name {
            return Ok(Some((entry.kind, entry.id())));
        }
    }
    Ok(None)
}

/// One folder's entries, of which those are left that are folders.
fn folder(
    reader: &mut Reader,
    tree: &ObjectId,
    path: &[u8],
    each: &mut impl FnMut(&mut Reader, Listed) -> Result<(), Fault>,
) -> Result<Entries, Fault> {
    let mut entries = Entries::of(reader.tree(tree)?, tree);
    let mut folders = 0;
    loop {
        let mut some = Vec::new();
        while some.len() < ASKED
            && let Some(entry) = entries.next()
        {
            let entry = entry?;
            let (kind, id) = (entry.kind, entry.id());
            let path = [path, entry.name].concat();
            some.push(Listed {
                kind,
                id,
                size: None,
                path,
            });
            if kind == Kind::Folder {
                folders = entries.keep(folders);
            }
        }
        if some.is_empty() {
            entries.begin_again(folders);
            return Ok(entries);
        }
        let is_blob = |listed: &Listed| matches!(listed.kind, Kind::File { .. } | Kind::Link);
        let blobs = some.iter().filter(|listed| is_blob(listed));
        let mut found = reader.about(blobs.map(|listed| &listed.id))?.into_iter();
        for mut listed in some {
            if is_blob(&listed) {
                let about = found.next().flatten();
                let about = about.filter(|about| about.kind == ObjectKind::Blob);
                listed.size = about.map(|about| about.size);
            }
            each(reader, listed)?;
        }
    }
}

/// A tree's entries: `<mode, octal> <name>\0<id>` each, nothing between them, in git's [`Order`].
struct Entries {
    bytes: Vec<u8>,
    order: Order,
    /// Where the last one begins, and the next.
    last: usize,
    next: usize,
    id_bytes: usize,
}

struct Entry<'a> {
    kind: Kind,
    name: &'a [u8],
    id: &'a [u8],
}

impl Entry<'_> {
    fn id(&self) -> ObjectId {
        ObjectId::of(self.id)
    }
}

impl Entries {
    fn of(bytes: Vec<u8>, tree: &ObjectId) -> Self {
        Self {
            bytes,
            order: Order::default(),
            last: 0,
            next: 0,
            id_bytes: tree.as_str().len() / 2,
        }
    }

    fn next(&mut self) -> Option<Result<Entry<'_>, Fault>> {
        let rest = self
            .bytes
            .get(self.next..)
            .filter(|rest| !rest.is_empty())?;
        let parsed = parse(rest, self.id_bytes).filter(|(entry, _)| {
            let is_folder = entry.kind == Kind::Folder;
            self.order.takes(entry.name, is_folder)
        });
        self.last = self.next;
        self.next = match parsed {
            Some((_, length)) => self.next + length,
            None => self.bytes.len(),
        };
        Some(parsed.map(|(entry, _)| entry).ok_or_else(|| odd(rest)))
    }

    /// Moves the last entry to `at`, which is before it; where it ends there.
    fn keep(&mut self, at: usize) -> usize {
        self.bytes.copy_within(self.last..self.next, at);
        at + self.next - self.last
    }

    /// Has no more than the first bytes.
    fn begin_again(&mut self, bytes: usize) {
        self.bytes.truncate(bytes);
        self.bytes.shrink_to_fit();
        self.order = Order::default();
        self.next = 0;
    }
}

/// The first entry, and its length.
fn parse(bytes: &[u8], id_bytes: usize) -> Option<(Entry<'_>, usize)> {
    let space = bytes
        .iter()
        .take(MAX_MODE + 1)
        .position(|byte| *byte == b' ')?;
    let digit = |mode: u32, byte: &u8| {
        let digit = matches!(byte, b'0'..=b'7').then(|| u32::from(byte - b'0'));
        Some(mode << 3 | digit?)
    };
    let mode = bytes[..space].iter().try_fold(0, digit)?;
    let name = &bytes[space + 1..];
    let name = &name[..name.iter().position(|byte| *byte == 0)?];
    let begin = space + 1 + name.len() + 1;
    let id = bytes.get(begin..begin + id_bytes)?;
    // Old tools' modes have other bits of rights than 0644 and 0755.
    let kind = match mode & 0o170_000 {
        0o040_000 => Kind::Folder,
        0o100_000 => Kind::File {
            executable: mode & 0o100 != 0,
        },
        0o120_000 => Kind::Link,
        0o160_000 => Kind::Submodule,
        _ => return None,
    };
    // It would be of another folder.
    let is_name = !name.is_empty() && !name.contains(&b'/');
    is_name.then_some((Entry { kind, name, id }, begin + id_bytes))
}

/// Digits of a mode, with some zeros before it.
const MAX_MODE: usize = 8;

fn odd(bytes: &[u8]) -> Fault {
    let shown = &bytes[..bytes.len().min(80)];
    Fault::hostile(format!(
        "a tree has an entry that is malformed, there twice, or out of its order: {}",
        shown.escape_ascii()
    ))
}
