//! Folders: made on the way down, removed on the way up, and synced where an entry must last.
//!
//! A file is only as durable as the entries of all folders above it, also of those that another request has made a moment
//! ago and not synced yet. So a durable write syncs every folder up to the root. It may stop at one that is known to be
//! durable; only folders that are never removed are remembered as such ([`layout::stays`]), so what is known stays true.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Disk, refused};
use crate::{StoreError, layout};

/// Folders whose own entries are durable. There are at most as many as the layout has that stay: some hundreds.
#[derive(Debug, Default)]
pub(super) struct Durable(Mutex<HashSet<PathBuf>>);

impl Durable {
    pub(super) fn lock(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk {
    /// Makes a new entry of `folder` durable, and those that lead to it.
    pub(super) fn sync_up(&self, folder: &Path) -> Result<(), StoreError> {
        self.sync_folder(folder)?;
        for below in folder.ancestors() {
            if below == self.root || self.durable.lock().contains(below) {
                return Ok(());
            }
            let Some(above) = below.parent() else {
                return Ok(());
            };
            self.sync_folder(above)?;
            if self.stays(below) {
                self.durable.lock().insert(below.to_owned());
            }
        }
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> Result<(), StoreError> {
        match File::open(folder) {
            Ok(file) => self.synced(file.sync_all()),
            // Another request has removed what was in it: that is the newer change.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            // Nothing was synced in vain, so this is no reason to stop all writing.
            Err(error) => Err(refused(error)),
        }
    }

    /// Removes `folder` and those above it, as long as they are empty and need not stay.
    pub(super) fn prune(&self, folder: &Path) {
        for folder in folder.ancestors() {
            if self.stays(folder) || fs::remove_dir(folder).is_err() {
                return;
            }
        }
    }

    fn stays(&self, folder: &Path) -> bool {
        let below_root = folder.strip_prefix(&self.root).ok().and_then(Path::to_str);
        below_root.is_none_or(layout::stays)
    }
}

/// Makes `folder` and what is missing above it.
pub(super) fn make(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let Some(above) = folder.parent() else {
                return Err(error);
            };
            make(above)?;
            make(folder)
        }
        other => other,
    }
}

/// Makes `folder` and what is missing above it, so that a loss of power does not take it, nor what is synced in it later.
///
/// What is made is its owner's alone: what is kept there is not for every user of the machine. What is there stays as it is.
/// The folder's own entry is synced in any case: whoever made it may have died before that.
pub fn make_durably(folder: &Path) -> io::Result<()> {
    // The folder of a file that is named without one.
    let is_here = folder.as_os_str().is_empty();
    let folder = if is_here { Path::new(".") } else { folder };
    let is_missing = |at: &&Path| !at.as_os_str().is_empty() && !at.exists();
    let missing = folder.ancestors().take_while(is_missing).count();
    let mut private = fs::DirBuilder::new();
    let made = private.recursive(true).mode(0o700).create(folder);
    made.map_err(|error| named(folder, &error))?;
    // The entry that must last is that of the folder itself, not that of a link to it.
    let folder = folder.canonicalize()?;
    for above in folder.ancestors().skip(1).take(missing.max(1)) {
        match File::open(above).and_then(|file| file.sync_all()) {
            // Who may not even read it has not made anything in it.
            Err(error) if missing == 0 && error.kind() == io::ErrorKind::PermissionDenied => {}
            other => other.map_err(|error| named(above, &error))?,
        }
    }
    Ok(())
}

fn named(folder: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", folder.display()))
}
