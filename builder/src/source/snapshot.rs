//! A source as one deterministic archive.

use std::fs::File;
use std::io::{self, Read, Seek as _, Write};
use std::path::Path;

use oci::Digest;
use tokio_util::sync::CancellationToken;

use super::Fault;
use super::hashing::HashingFile;
use super::tree::{Node, Reached, Tree};
use crate::plan::{Commit, Source};
use crate::room::Written;
use crate::s2i::{EnvironmentFile, Ignore, IgnoreMode, SourceScripts, Warning};
use crate::until::Until;

#[cfg(test)]
mod tests;

/// A source that was fetched or uploaded, as an uncompressed tar in an unnamed temporary file.
///
/// The same files give the same bytes, whatever machine, day, commit or folder they came from: entries in byte order
/// of their paths, owner 0:0, modes 0755 and 0644, one time for all ([`Snapshot::MTIME`]), no device, no hard link.
/// It can be kept as a layer of an image under its digest.
#[derive(Debug)]
pub struct Snapshot {
    pub(crate) file: File,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) files: usize,
    pub(crate) left_out: usize,
    pub(crate) scripts: SourceScripts,
    pub(crate) environment: Option<Vec<u8>>,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) location: String,
    pub(crate) context_dir: String,
    pub(crate) commit: Option<Commit>,
}

impl Snapshot {
    /// Every entry's time, in seconds since 1970: 2 January 1980. Zip files, and so Python's wheels, know no earlier one
    /// than the day before, in any time zone.
    pub const MTIME: u64 = 315_619_200;

    /// What it is in a manifest (image-spec `layer.md`).
    pub const MEDIA_TYPE: &str = "application/vnd.oci.image.layer.v1.tar";

    /// The tar's digest.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The tar's length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many files and links are in it.
    pub fn files(&self) -> usize {
        self.files
    }

    /// How many files and folders were left out, since they are to be ignored; what is in such a folder is not counted.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// The tar from its beginning. There is one position for all readers of a snapshot.
    pub fn open(&self) -> io::Result<File> {
        let mut file = self.file.try_clone()?;
        file.rewind()?;
        Ok(file)
    }

    /// What is odd about the source.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// What a plan needs to know of it.
    pub fn source(&self) -> Source {
        Source {
            digest: self.digest,
            scripts: self.scripts.clone(),
            environment: self.environment.clone(),
            location: self.location.clone(),
            context_dir: self.context_dir.clone(),
            commit: self.commit.clone(),
        }
    }
}

/// Where files' content comes from.
pub(crate) trait Contents<C> {
    /// Writes the whole content, `size` bytes.
    fn copy(&mut self, content: &C, size: u64, to: &mut dyn Write) -> Result<(), Fault>;
}

/// Applies `.s2iignore` and makes the archive, in the folder `scratch`, whose bytes are counted as they come. Ends with a
/// fault if it is stopped.
pub(crate) fn write<C>(
    mut tree: Tree<C>,
    contents: &mut impl Contents<C>,
    mode: IgnoreMode,
    (scratch, written): (&Path, &Written),
    stop: &CancellationToken,
) -> Result<Snapshot, Fault> {
    let mut warnings = Vec::new();
    let mut left_out = 0;
    if let Some(file) = small(&tree, contents, b".s2iignore", Ignore::MAX_BYTES)? {
        left_out = tree.ignore(mode, &file, &mut warnings, stop)?;
    }
    if let Some(Node::Link { .. }) = tree.get(b".s2iignore") {
        warnings.push(Warning::new(
            ".s2iignore is a link and is not read: make it a file",
        ));
    }
    let scripts = tree.scripts()?;
    let environment = match tree.reach(b".s2i/environment") {
        Reached::File(path) => small(&tree, contents, &path, EnvironmentFile::MAX_BYTES)?,
        Reached::Nothing => None,
        Reached::Astray(link) => {
            warnings.push(Warning::new(format!(
                ".s2i/environment is not read: {} is a link that leads to no file of the source",
                link.escape_ascii()
            )));
            None
        }
    };
    let failed = |error: io::Error| Fault::machine("the source's snapshot", &error);
    let file = tempfile::tempfile_in(scratch).map_err(failed)?;
    let mut archive = tar::Builder::new(HashingFile::new(file, written));
    let is_file = |(_, node): &(&[u8], &Node<C>)| !matches!(node, Node::Folder);
    let files = tree.iter().filter(is_file).count();
    for (path, node) in tree.iter() {
        append(&mut archive, contents, (path, node), stop)?;
    }
    let (file, digest, size) = archive
        .into_inner()
        .and_then(HashingFile::finish)
        .map_err(failed)?;
    Ok(Snapshot {
        file,
        digest,
        size,
        files,
        left_out,
        scripts,
        environment,
        warnings,
        location: String::new(),
        context_dir: String::new(),
        commit: None,
    })
}

/// A file of the source that is read into memory, if it is there.
fn small<C>(
    tree: &Tree<C>,
    contents: &mut impl Contents<C>,
    path: &[u8],
    max: usize,
) -> Result<Option<Vec<u8>>, Fault> {
    let Some(Node::File { size, content, .. }) = tree.get(path) else {
        return Ok(None);
    };
    if *size > max as u64 {
        return Err(Fault::too_large(format!(
            "{} has more than {max} bytes",
            path.escape_ascii()
        )));
    }
    let mut bytes = Vec::new();
    contents.copy(content, *size, &mut bytes)?;
    Ok(Some(bytes))
}

fn append<C>(
    archive: &mut tar::Builder<HashingFile>,
    contents: &mut impl Contents<C>,
    (path, node): (&[u8], &Node<C>),
    stop: &CancellationToken,
) -> Result<(), Fault> {
    use std::os::unix::ffi::OsStrExt as _;

    if stop.is_cancelled() {
        return Err(Fault::stopped());
    }
    let failed = |error: io::Error| Fault::machine("the source's snapshot", &error);
    let name = Path::new(std::ffi::OsStr::from_bytes(path));
    let mut header = tar::Header::new_gnu();
    header.set_mtime(Snapshot::MTIME);
    header.set_uid(0);
    header.set_gid(0);
    match node {
        Node::Folder => {
            header.set_entry_type(tar::EntryType::Directory);
            header.set_mode(0o755);
            header.set_size(0);
            archive.append_data(&mut header, name.join(""), io::empty())
        }
        Node::Link { target } => {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_mode(0o777);
            header.set_size(0);
            let target = Path::new(std::ffi::OsStr::from_bytes(target));
            archive.append_link(&mut header, name, target)
        }
        Node::File {
            executable,
            size,
            content,
        } => {
            header.set_entry_type(tar::EntryType::Regular);
            header.set_mode(if *executable { 0o755 } else { 0o644 });
            header.set_size(*size);
            // The header first, by an entry without content of its own; then the content straight through.
            archive
                .append_data(&mut header, name, io::empty())
                .map_err(failed)?;
            let before = archive.get_ref().written();
            let mut to = Until::new(archive.get_mut(), stop.clone());
            contents.copy(content, *size, &mut to)?;
            if archive.get_ref().written() - before != *size {
                return Err(Fault::hostile(format!(
                    "{} is not as long as it was said to be",
                    path.escape_ascii()
                )));
            }
            let padding = (512 - size % 512) % 512;
            io::copy(&mut io::repeat(0).take(padding), archive.get_mut()).map(drop)
        }
    }
    .map_err(failed)
}
