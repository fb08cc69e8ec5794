//! A folder of this machine as a source. For the command line: the folder is the user's own.

use std::fs::File;
use std::io::{Read as _, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use ignore::gitignore::gitconfig_excludes_path;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use tokio_util::sync::CancellationToken;

use crate::room::Written;
use crate::s2i::{IgnoreMode, Warning};
use crate::source::snapshot::{self, Contents};
use crate::source::tree::{Node, Tree};
use crate::source::{Fault, FaultClass, Snapshot, SourceLimits};

mod repository;
mod rules;
#[cfg(test)]
mod tests;
mod walk;

use walk::Walk;

/// Makes a snapshot of a folder, without `.git`, what git ignores in it, and what its `.s2iignore` names. Links
/// stay links; sockets, pipes and devices are left out with a warning.
///
/// Git ignores what the `.gitignore` files of the folder, of those in it and, up to the top of the repository, above it
/// name, what the repository's `info/exclude` does, and the user's own `core.excludesFile`: a file that nobody means to
/// commit is not sent either. What is committed is sent whatever they name, so that a checkout is the same for all users. In a folder that is in
/// no repository its own `.gitignore` files count.
///
/// The snapshot is written in the folder `scratch`, which must not be within the one that is read.
pub fn directory(
    folder: &Path,
    mode: IgnoreMode,
    limits: SourceLimits,
    scratch: &Path,
) -> Result<Snapshot, Fault> {
    let excludes = gitconfig_excludes_path();
    taken(folder, mode, limits, (scratch, excludes.as_deref()))
}

fn taken(
    folder: &Path,
    mode: IgnoreMode,
    limits: SourceLimits,
    (scratch, excludes): (&Path, Option<&Path>),
) -> Result<Snapshot, Fault> {
    let failed = |error: &dyn std::fmt::Display| {
        let message = format!("the folder {} cannot be read: {error}", folder.display());
        Fault::new(FaultClass::Machine, message)
    };
    let root = File::open(folder).map_err(|error| failed(&error))?;
    let mut tree = Tree::new(limits);
    let mut warnings = Vec::new();
    let walked = Walk::new(folder, excludes)?.run(|path, metadata| {
        let node = if metadata.is_dir() {
            Node::Folder
        } else if metadata.is_symlink() {
            let target = std::fs::read_link(folder.join(path)).map_err(|error| failed(&error))?;
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
            return Ok(());
        };
        tree.insert(path.as_os_str().as_bytes(), node)
    })?;
    warnings.extend(walked.warnings);
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
    snapshot.left_out += walked.left_out;
    Ok(snapshot)
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
