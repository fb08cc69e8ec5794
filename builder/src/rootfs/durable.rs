//! Whether a layer has reached the disk.
//!
//! A layer that was unpacked is whole for every process of this boot, synced or not. To wait until tens of thousands of files
//! are on the disk would be most of the time of a first build, so a new layer carries a mark with the id of the boot: after a
//! crash of the machine it counts as absent. Sweeping syncs them all at once and takes the marks away. File systems with a
//! journal keep the order of mark and publishing.

use std::io;
use std::path::Path;

use crate::tree::Tree;

/// Marks a layer that is about to be published.
pub(super) fn mark(layer: &Path) -> io::Result<()> {
    std::fs::write(layer.join(MARK), boot()?)
}

/// Whether a layer is all there: it was synced, or the machine has not stopped since it was unpacked.
pub(super) fn is_whole(layer: &Path) -> io::Result<bool> {
    match std::fs::read(layer.join(MARK)) {
        Ok(of) => Ok(of == boot()?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(layer.exists()),
        Err(error) => Err(error),
    }
}

/// Syncs the layers that are not, all at once.
pub(super) fn settle(layers: &[&Path]) -> io::Result<()> {
    let this_boot = boot()?;
    let is_new = |layer: &&&Path| {
        let mark = std::fs::read(layer.join(MARK));
        mark.is_ok_and(|of| of == this_boot)
    };
    let unsynced: Vec<_> = layers.iter().filter(is_new).collect();
    let Some(first) = unsynced.first() else {
        return Ok(());
    };
    rustix::fs::syncfs(Tree::open(first)?.fd())?;
    for layer in unsynced {
        match std::fs::remove_file(layer.join(MARK)) {
            // Removed meanwhile, or settled by another process.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn boot() -> io::Result<Vec<u8>> {
    std::fs::read("/proc/sys/kernel/random/boot_id")
}

const MARK: &str = "unsynced";
