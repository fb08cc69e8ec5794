//! Whether a folder has reached the disk.
//!
//! What was written into a folder is there for every process of this boot, synced or not. To wait until tens of thousands of
//! files are on the disk would be most of the time of a first build, so a folder that is written to carries a mark with the id
//! of the boot: after a crash of the machine it counts as absent. Sweeping syncs all of them at once and takes the marks away.
//! File systems with a journal keep the order of mark, names and renames.

use std::io::{self, ErrorKind};
use std::path::Path;

use crate::tree::Tree;

/// Marks a folder that is about to be published or written to.
pub(crate) fn mark(folder: &Path) -> io::Result<()> {
    if is_unsynced(folder)? {
        return Ok(());
    }
    std::fs::write(folder.join(MARK), boot()?)
}

/// Whether a folder is there with all that is in it: it was synced, or the machine has not stopped since it was written to.
pub(crate) fn is_whole(folder: &Path) -> io::Result<bool> {
    match std::fs::read(folder.join(MARK)) {
        Ok(of) => Ok(of == boot()?),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(folder.exists()),
        Err(error) => Err(error),
    }
}

/// Whether a folder was written to in this boot and may not be on the disk yet.
pub(crate) fn is_unsynced(folder: &Path) -> io::Result<bool> {
    let this_boot = boot()?;
    Ok(std::fs::read(folder.join(MARK)).is_ok_and(|of| of == this_boot))
}

/// Waits until all that was written to the file system of `folder` is on the disk.
pub(crate) fn sync(folder: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(Tree::open(folder)?.fd())?)
}

/// Takes the mark from a folder that nothing was written to since it was synced.
pub(crate) fn unmark(folder: &Path) -> io::Result<()> {
    match std::fs::remove_file(folder.join(MARK)) {
        // Removed meanwhile, or unmarked by another process.
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn boot() -> io::Result<Vec<u8>> {
    std::fs::read("/proc/sys/kernel/random/boot_id")
}

const MARK: &str = "unsynced";
