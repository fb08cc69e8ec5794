//! Whether roots of runs can be stacked in a folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FsWord, Mode, OFlags, openat, statfs};

use super::{Check, Standing, check};
use crate::overlay::{Marks, Writable, mount};
use crate::tree::Tree;

/// `TMPFS_MAGIC` of `linux/magic.h`.
const TMPFS: FsWord = 0x0102_1994;

/// Looks at the folder that layers, caches and roots of runs go into, or at the first above it that is there. `name` is the key of the
/// configuration that says which. What is made there to try it is removed at once.
pub fn examine_folder(name: &'static str, folder: &Path) -> Check {
    let above = folder.ancestors().find(|above| above.exists());
    let there = match above {
        Some(above) if !above.as_os_str().is_empty() => above.to_owned(),
        _ => PathBuf::from("."),
    };
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
