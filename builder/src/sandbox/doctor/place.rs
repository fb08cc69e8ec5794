//! Whether roots of runs can be stacked in a folder, and whether its disk has room for them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FsWord, Mode, OFlags, openat, statfs, statvfs};

use super::{Check, Standing, check};
use crate::overlay::{Marks, Writable, mount};
use crate::tree::Tree;

/// `TMPFS_MAGIC` of `linux/magic.h`.
const TMPFS: FsWord = 0x0102_1994;

/// Looks at the folder that layers, caches and roots of runs go into, or at the first above it that is there. `name` is the key of the
/// configuration that says which. What is made there to try it is removed at once.
pub fn examine_folder(name: &'static str, folder: &Path) -> Check {
    let there = there(folder);
    let shown = there.display();
    let made = tempfile::Builder::new()
        .prefix(".slipway-doctor-")
        .tempdir_in(&there);
    let trial = match made {
        Ok(trial) => trial,
        Err(error) => {
            let error = error.kind();
            let wanted = folder.display();
            let detail = format!(
                "nothing can be made in {shown} ({error}), for {wanted}: let {name} be a folder that this user may write"
            );
            return check(name, Standing::Missing, detail);
        }
    };
    if let Err(error) = stack(trial.path()) {
        let detail = format!(
            "overlayfs cannot stack layers in {shown} ({error}): let {name} be a folder of a local disk with ext4, xfs or btrfs, and \
             none of a container's own layers or of the network"
        );
        return check(name, Standing::Missing, detail);
    }
    if statfs(&there).is_ok_and(|found| found.f_type == TMPFS) {
        let detail = format!(
            "{shown} is in memory: layers and caches take it up, and are gone when the machine ends; {name} may be a folder of a disk"
        );
        return check(name, Standing::Limited, detail);
    }
    let detail = format!("overlayfs can stack layers in {shown}");
    check(name, Standing::Good, detail)
}

/// Looks whether the disk of that folder can keep `keep` bytes free, without which no run begins. `name` is the key that says how many,
/// `at` the one that says which folder.
pub fn examine_room(name: &'static str, keep: u64, at: &str, folder: &Path) -> Check {
    let there = there(folder);
    let shown = there.display();
    let disk = match statvfs(&there) {
        Ok(disk) => disk,
        Err(error) => {
            let detail = format!("what is free on the disk of {shown} cannot be told: {error}");
            return check(name, Standing::Limited, detail);
        }
    };
    let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    let free = bytes(disk.f_bavail);
    // What is reserved for root is nobody's to write.
    let reserved = disk.f_bfree.saturating_sub(disk.f_bavail);
    let whole = bytes(disk.f_blocks.saturating_sub(reserved));
    let (standing, detail) = room(name, keep, at, free, whole);
    check(name, standing, format!("the disk of {shown} {detail}"))
}

/// The standing of a disk of `whole` bytes of which `free` are, and what is to be said of it.
fn room(name: &str, keep: u64, at: &str, free: u64, whole: u64) -> (Standing, String) {
    let [kept, left, all] = [keep, free, whole].map(|bytes| bytes >> 20);
    if whole < keep {
        let detail = format!(
            "has {all} MiB in all, and {kept} MiB of it are kept free: no run can ever begin; let {at} be a folder of a larger disk, \
             or {name} be less"
        );
        return (Standing::Missing, detail);
    }
    if free < keep {
        // Not missing: the server makes room of its own layers and caches, and others may free some at any time.
        let detail = format!(
            "has {left} MiB left, and {kept} MiB of it are kept free: no run begins unless layers and caches that nobody uses make \
             room; free some of it, or let {name} be less"
        );
        return (Standing::Limited, detail);
    }
    let detail = format!("has {left} MiB left, and {kept} MiB of it are kept free");
    (Standing::Good, detail)
}

/// The folder, or the first above it that is there.
fn there(folder: &Path) -> PathBuf {
    match folder.ancestors().find(|above| above.exists()) {
        Some(above) if !above.as_os_str().is_empty() => above.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Mounts two layers, for this process alone, below something to write to, and writes there.
fn stack(folder: &Path) -> io::Result<()> {
    let open = |name: &str| {
        let path = folder.join(name);
        fs::create_dir(&path)?;
        Tree::open(&path)
    };
    let layers = [open("a")?, open("b")?];
    let lower = layers.each_ref().map(Tree::fd);
    let (upper, work, place) = (open("upper")?, open("work")?, folder.join("place"));
    fs::create_dir(&place)?;
    let writable = Writable {
        upper: upper.fd(),
        work: work.fd(),
    };
    let mounted = mount(&lower, Some(writable), Marks::of_this_process()?, &place)?;
    // Where the disk below lacks something, the kernel mounts it read-only.
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
    openat(mounted.fd(), "file", flags, Mode::RUSR)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_held_to_what_is_kept_free() {
        const MIB: u64 = 1 << 20;
        for (keep, free, whole, expected, words) in [
            (0, 0, 0, Standing::Good, "0 MiB left"),
            (1024, 1024, 1024, Standing::Good, "1024 MiB left"),
            (1024, 698, 2000, Standing::Limited, "698 MiB left"),
            (1024, 698, 700, Standing::Missing, "700 MiB in all"),
        ] {
            let found = room("key", keep * MIB, "folder", free * MIB, whole * MIB);
            assert_eq!(found.0, expected, "{found:?}");
            assert!(found.1.contains(words), "{found:?}");
            assert!(found.1.contains(&format!("{keep} MiB of it")), "{found:?}");
        }
    }
}
