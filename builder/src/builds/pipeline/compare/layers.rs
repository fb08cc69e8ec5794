//! Which files of two layers differ, and in what.

use std::collections::HashMap;
use std::io::{self, Read};

use oci::{Algorithm, Digest, Hasher};

#[cfg(test)]
mod tests;

/// Most files of a layer that is compared: about a hundred bytes of memory each.
const MAX_FILES: usize = 500_000;

/// A layer's files: each path with what the archive says of it, in the archive's order.
pub(super) struct Listed(Vec<(Vec<u8>, Entry)>);

#[derive(PartialEq, Eq)]
struct Entry {
    kind: u8,
    mode: u32,
    owner: (u64, u64),
    modified: u64,
    link: Option<Box<[u8]>>,
    /// Extended attributes and what else stands in extended headers.
    attributes: Digest,
    content: Digest,
}

/// Reads an archive to its end.
pub(super) fn listed(archive: impl Read) -> io::Result<Listed> {
    let mut archive = tar::Archive::new(archive);
    let mut all = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        if all.len() == MAX_FILES {
            let message = format!("a layer has more than {MAX_FILES} files");
            return Err(io::Error::other(message));
        }
        let path = entry.path_bytes().into_owned();
        let link = entry.link_name_bytes().map(Into::into);
        let attributes = attributes(&mut entry)?;
        let header = entry.header();
        let (kind, mode) = (header.entry_type().as_byte(), header.mode()?);
        let (owner, modified) = ((header.uid()?, header.gid()?), header.mtime()?);
        let mut hasher = Hasher::new(Algorithm::Sha256);
        let mut buffer = vec![0; 1 << 16];
        loop {
            match entry.read(&mut buffer)? {
                0 => break,
                read => hasher.update(&buffer[..read]),
            }
        }
        let entry = Entry {
            kind,
            mode,
            owner,
            modified,
            link,
            attributes,
            content: hasher.finish(),
        };
        all.push((path, entry));
    }
    Ok(Listed(all))
}

fn attributes<R: Read>(entry: &mut tar::Entry<'_, R>) -> io::Result<Digest> {
    let mut all = Vec::new();
    if let Some(extensions) = entry.pax_extensions()? {
        for extension in extensions {
            let extension = extension?;
            for part in [extension.key_bytes(), extension.value_bytes()] {
                all.extend((part.len() as u64).to_le_bytes());
                all.extend(part);
            }
        }
    }
    Ok(Digest::of(Algorithm::Sha256, &all))
}

/// The first `most` paths that are in one of them only or differ, each with what it is.
pub(super) fn changed(then: &Listed, now: &Listed, most: usize) -> Vec<String> {
    let mut of_then: HashMap<&[u8], &Entry> = then.by_path().collect();
    let mut all = Vec::new();
    for (path, entry) in now.by_path() {
        match of_then.remove(path) {
            None => all.push(said(path, "only now")),
            Some(other) if other == entry => {}
            Some(other) => all.push(said(path, &other.differs_in(entry))),
        }
    }
    let gone = then
        .by_path()
        .filter(|(path, _)| of_then.contains_key(path));
    all.extend(gone.map(|(path, _)| said(path, "only then")));
    let more = all.len().saturating_sub(most);
    if more > 0 {
        all.truncate(most);
        all.push(format!("and {more} more"));
    }
    all
}

fn said(path: &[u8], what: &str) -> String {
    let path = String::from_utf8_lossy(path);
    format!("/{}: {what}", path.trim_start_matches("./").escape_debug())
}

impl Listed {
    fn by_path(&self) -> impl Iterator<Item = (&[u8], &Entry)> {
        self.0.iter().map(|(path, entry)| (&**path, entry))
    }
}

impl Entry {
    fn differs_in(&self, other: &Self) -> String {
        let parts = [
            ("type", self.kind != other.kind),
            ("content", self.content != other.content),
            ("target", self.link != other.link),
            ("mode", self.mode != other.mode),
            ("owner", self.owner != other.owner),
            ("time", self.modified != other.modified),
            ("attributes", self.attributes != other.attributes),
        ];
        let parts = parts.into_iter().filter(|(_, differs)| *differs);
        parts.map(|(name, _)| name).collect::<Vec<_>>().join(", ")
    }
}
