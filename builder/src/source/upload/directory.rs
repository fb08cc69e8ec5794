//! A folder of this machine as a source. For the command line: the folder is the user's own.

use std::fs::File;
use std::io::{Read as _, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use tokio_util::sync::CancellationToken;

use crate::room::Written;
use crate::s2i::{IgnoreMode, Warning};
use crate::source::snapshot::{self, Contents};
use crate::source::tree::{Node, Tree};
use crate::source::{Fault, FaultClass, Snapshot, SourceLimits};

#[cfg(test)]
mod tests;

/// Makes a snapshot of a folder, without `.git` and what the folder's `.gitignore` files and `.s2iignore` name. Links
/// stay links; sockets, pipes and devices are left out with a warning.
///
/// The snapshot is written in the folder `scratch`, which must not be within the one that is read.
///
/// The user's own `core.excludesFile` and `.git/info/exclude` do not count: two people who send the same files get the
/// same snapshot.
pub fn directory(
    folder: &Path,
    mode: IgnoreMode,
    limits: SourceLimits,
    scratch: &Path,
) -> Result<Snapshot, Fault> {
    let failed = |error: &dyn std::fmt::Display| {
        let message = format!("the folder {} cannot be read: {error}", folder.display());
        Fault::new(FaultClass::Machine, message)
    };
    let root = File::open(folder).map_err(|error| failed(&error))?;
    let mut tree = Tree::new(limits);
    let mut warnings = Vec::new();
    for entry in walk(folder) {
        let entry = entry.map_err(|error| failed(&error))?;
        let path = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        if path.as_os_str().is_empty() {
            continue;
        }
        let metadata = entry.metadata().map_err(|error| failed(&error))?;
        let node = if metadata.is_dir() {
            Node::Folder
        } else if metadata.is_symlink() {
            let target = std::fs::read_link(entry.path()).map_err(|error| failed(&error))?;
            Node::Link {
                target: target.as_os_str().as_bytes().into(),
            }
        } else if metadata.is_file() {
            Node::File {
                executable: metadata.permissions().mode() & 0o111 != 0,
                size: metadata.size(),
                content: path.to_path_buf(),
            }
        } else {
            warnings.push(Warning::new(format!(
                "{} is no file, folder or link and is left out",
                path.display()
            )));
            continue;
        };
        tree.insert(path.as_os_str().as_bytes(), node)?;
    }
    // It is the user's own program, which ends with all that it does.
    let never = CancellationToken::new();
    let mut snapshot = snapshot::write(
        tree,
        &mut Folder(root),
        mode,
        (scratch, &Written::default()),
        &never,
    )?;
    warnings.append(&mut snapshot.warnings);
    snapshot.warnings = warnings;
    Ok(snapshot)
}

fn walk(folder: &Path) -> ignore::Walk {
    ignore::WalkBuilder::new(folder)
        .standard_filters(false)
        .git_ignore(true)
        .require_git(false)
        .follow_links(false)
        .filter_entry(|entry| entry.file_name() != ".git")
        .build()
}

/// An open folder, whose files are read beneath it: one that became a link meanwhile is not followed.
struct Folder(File);

impl Contents<PathBuf> for Folder {
    fn copy(&mut self, path: &PathBuf, size: u64, to: &mut dyn Write) -> Result<(), Fault> {
        let failed = |error: std::io::Error| {
            let message = format!("{} cannot be read: {error}", path.display());
            Fault::new(FaultClass::Machine, message)
        };
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let opened = rustix::fs::openat2(&self.0, path, flags, Mode::empty(), beneath);
        let opened = opened.map_err(|error| failed(error.into()))?;
        std::io::copy(&mut File::from(opened).take(size), to).map_err(failed)?;
        Ok(())
    }
}
