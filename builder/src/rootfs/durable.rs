//! Whether a folder has reached the disk.
//!
//! What was written into a folder is there for every process of this boot, synced or not. To wait until tens of thousands of
//! files are on the disk would be most of the time of a first build, so a folder that is written to carries a mark with the id
//! of the boot: after a crash of the machine it counts as absent. From time to time all of them are synced at once and the marks
//! taken away, without a lock that anybody waits for: it may take minutes.
//! File systems with a journal keep the order of mark, names and renames.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;
use std::time::SystemTime;

use crate::tree::Tree;

/// Marks a folder that is about to be published or written to.
pub(crate) fn mark(folder: &Path) -> io::Result<()> {
    if is_unsynced(folder)? {
        return Ok(());
    }
    // In one step: half a mark, on a disk that is full, would say that the folder is damaged.
    let incoming = folder.join("unsynced.new");
    let written = std::fs::write(&incoming, boot()?)
        .and_then(|()| std::fs::rename(&incoming, folder.join(MARK)));
    if written.is_err() {
        let _ = std::fs::remove_file(&incoming);
    }
    written
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
    Ok(marked(folder)?.is_some())
}

/// When a folder was marked, if that was in this boot: one made anew in its place has another time.
pub(crate) fn marked(folder: &Path) -> io::Result<Option<SystemTime>> {
    let this_boot = boot()?;
    let read = || {
        let mut mark = File::open(folder.join(MARK))?;
        let mut of = Vec::new();
        mark.read_to_end(&mut of)?;
        Ok::<_, io::Error>((of, mark.metadata()?.modified()?))
    };
    Ok(read()
        .ok()
        .filter(|(of, _)| *of == this_boot)
        .map(|(_, at)| at))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_whole_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let in_the_way = folder.path().join("unsynced.new");
        std::fs::create_dir(&in_the_way).unwrap();
        mark(folder.path()).unwrap_err();
        assert!(!is_unsynced(folder.path()).unwrap());
        assert!(
            is_whole(folder.path()).unwrap(),
            "nothing was written to it"
        );
        std::fs::remove_dir(&in_the_way).unwrap();
        mark(folder.path()).unwrap();
        assert!(is_unsynced(folder.path()).unwrap());
        unmark(folder.path()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
