//! Which files of two layers differ, and in what.

use std::cmp::Ordering;
use std::io::{self, Read};

use oci::{Algorithm, Digest, Hasher};

use crate::archive::{ArchiveError, Entry, Kind, Reader};
use crate::tree::TreePath;

#[cfg(test)]
mod tests;

/// Reads two layers side by side and says which paths are in one of them only or differ, the first `most` of them. Both are in
/// the order in which layers are made here, names of a folder by their bytes, so no more than one entry of each is in memory.
pub(super) fn changed(then: impl Read, now: impl Read, most: usize) -> io::Result<Vec<String>> {
    let (mut then, mut now) = (Files::new(then)?, Files::new(now)?);
    let mut changes = Changes {
        said: Vec::new(),
        count: 0,
        most,
    };
    loop {
        let order = match (&then.next, &now.next) {
            (None, None) => return Ok(changes.end()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => in_order(&a.entry.path, &b.entry.path),
        };
        match (order, &then.next, &now.next) {
            (Ordering::Less, Some(file), _) => changes.say(&file.entry.path, || "only then".into()),
            (Ordering::Greater, _, Some(file)) => {
                changes.say(&file.entry.path, || "only now".into());
            }
            (_, Some(a), Some(b)) if a != b => changes.say(&b.entry.path, || a.differs_in(b)),
            _ => {}
        }
        if order.is_le() {
            then.go_on()?;
        }
        if order.is_ge() {
            now.go_on()?;
        }
    }
}

/// What differs: the first of it, said, and how much there is.
struct Changes {
    said: Vec<String>,
    count: usize,
    most: usize,
}

/// The files of a layer, one after the other.
struct Files<R> {
    archive: Reader<R>,
    next: Option<File>,
}

#[derive(PartialEq, Eq)]
struct File {
    entry: Entry,
    content: Digest,
}

impl<R: Read> Files<R> {
    fn new(archive: R) -> io::Result<Self> {
        let mut files = Self {
            archive: Reader::new(archive),
            next: None,
        };
        files.go_on()?;
        Ok(files)
    }

    fn go_on(&mut self) -> io::Result<()> {
        let next = match self.archive.next() {
            Ok(Some(entry)) => {
                let mut hasher = Hasher::new(Algorithm::Sha256);
                io::copy(&mut self.archive, &mut Hashing(&mut hasher))?;
                let content = hasher.finish();
                Some(File { entry, content })
            }
            Ok(None) => None,
            Err(ArchiveError::Source(error)) => return Err(error),
            Err(malformed) => return Err(io::Error::other(malformed)),
        };
        let last = std::mem::replace(&mut self.next, next);
        if let (Some(last), Some(next)) = (last, &self.next)
            && in_order(&last.entry.path, &next.entry.path).is_ge()
        {
            let message = format!(
                "{} is not in the order of layers made here",
                next.entry.path
            );
            return Err(io::Error::other(message));
        }
        Ok(())
    }
}

struct Hashing<'a>(&'a mut Hasher);

impl io::Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The order in which a walk comes by them. A whiteout is where the name is that it takes away, before it.
fn in_order(a: &TreePath, b: &TreePath) -> Ordering {
    fn key(name: &[u8]) -> (&[u8], bool) {
        match name.strip_prefix(b".wh.") {
            Some(name) => (name, false),
            None => (name, true),
        }
    }
    a.names().map(key).cmp(b.names().map(key))
}

impl Changes {
    fn say(&mut self, path: &TreePath, what: impl FnOnce() -> String) {
        self.count += 1;
        if self.said.len() < self.most {
            let path = String::from_utf8_lossy(path.as_bytes());
            self.said
                .push(format!("/{}: {}", path.escape_debug(), what()));
        }
    }

    fn end(mut self) -> Vec<String> {
        let more = self.count - self.said.len();
        if more > 0 {
            self.said.push(format!("and {more} more"));
        }
        self.said
    }
}

impl File {
    fn differs_in(&self, other: &Self) -> String {
        let (a, b) = (&self.entry, &other.entry);
        let link = |kind: &Kind| match kind {
            Kind::Symlink(target) => Some(target.clone()),
            Kind::HardLink(target) => Some(target.as_bytes().to_vec()),
            _ => None,
        };
        let is_same_type = std::mem::discriminant(&a.kind) == std::mem::discriminant(&b.kind);
        let is_device = |kind: &Kind| matches!(kind, Kind::CharDevice(_) | Kind::BlockDevice(_));
        let parts = [
            ("type", !is_same_type),
            ("content", self.content != other.content),
            ("target", link(&a.kind) != link(&b.kind)),
            (
                "device",
                is_same_type && is_device(&a.kind) && a.kind != b.kind,
            ),
            ("mode", a.mode != b.mode),
            ("owner", (a.uid, a.gid) != (b.uid, b.gid)),
            ("time", a.mtime != b.mtime),
            ("attributes", a.xattrs != b.xattrs),
        ];
        let parts = parts.into_iter().filter(|(_, differs)| *differs);
        parts.map(|(name, _)| name).collect::<Vec<_>>().join(", ")
    }
}
