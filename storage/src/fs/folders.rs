//! Folders: made on the way down, removed on the way up.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Makes `folder` and what is missing above it. Adds to `changed` every folder that got a new
/// entry, so that it can be synced.
pub(super) fn make(folder: &Path, changed: &mut Vec<PathBuf>) -> io::Result<()> {
    match fs::create_dir(folder) {
        Ok(()) => {
            if let Some(parent) = folder.parent() {
                changed.push(parent.to_owned());
            }
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let Some(parent) = folder.parent() else {
                return Err(error);
            };
            make(parent, changed)?;
            make(folder, changed)
        }
        Err(error) => Err(error),
    }
}

/// Makes a folder's entries durable.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Removes `folder` and those above it, as long as they are empty and below `root`.
pub(super) fn prune(folder: &Path, root: &Path) {
    let mut folder = folder;
    while folder != root && folder.starts_with(root) && fs::remove_dir(folder).is_ok() {
        match folder.parent() {
            Some(parent) => folder = parent,
            None => return,
        }
    }
}
