//! How much a run has written.
//!
//! Two bounds, of two kinds. One file: `RLIMIT_FSIZE`, which the kernel enforces at once. All together: measured, and the
//! run is stopped when they are beyond the limit. Quotas of the kernel would be exact, but need a file system that was made and mounted
//! for them (project quotas), and an image in a loop device or in memory costs every build a file system of its own.
//!
//! Measuring costs a walk, so free space is asked ten times a second and a walk made only when free space has gone down by as
//! much as the run has left, or when a while has passed. A run can therefore overshoot by what it writes in a tenth of a
//! second and the time of one walk; not without end. Deleted files that are still open, mapped or executed count (`disk/held.rs`), mapped ones only
//! where the server is root; what is known to be under way where nobody can look is told apart, and ends the run if it stays there. Each name counts 1 KiB besides its blocks, so that
//! empty files are not free.

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::cgroup::Cgroup;
use super::error::SandboxError;

mod held;
#[cfg(test)]
pub(super) mod tests;

/// How often free space is asked.
const TICK: Duration = Duration::from_millis(100);
/// How long a measure is believed if free space does not go down: others may free what the run takes.
const BELIEVED: Duration = Duration::from_secs(5);
/// A walk is followed by a pause of so many times its own length.
const REST: u32 = 10;
/// So many more looks have to find some hidden than find nothing, each of which counts half, before that counts as beyond the limit: what is
/// handed over arrives.
const PATIENCE: u32 = 5;
/// The pause between them.
const AGAIN: Duration = Duration::from_millis(200);
/// Deeper trees are beyond any limit: they could hide from a measure, and nothing that is built has them.
const MAX_DEPTH: usize = 256;
/// What a name costs besides its blocks.
const ENTRY: u64 = 1024;
const BLOCK: u64 = 512;

/// The folders that a run writes.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    folders: Arc<[PathBuf]>,
    at_start: u64,
    last: Arc<Mutex<Option<Measure>>>,
}

/// By how much they had grown at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measure {
    pub(super) at: Instant,
    pub(super) look: Look,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    All(u64),
    /// There is more, which nobody can look at.
    AtLeast(u64),
    /// It took too long.
    Late,
}

/// Why they are too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Excess {
    /// They have grown beyond the limit.
    Known,
    /// Some was where nobody can look, and stayed there.
    Hidden,
}

impl Disk {
    /// Measures them before the run.
    pub(super) async fn start(folders: Vec<PathBuf>) -> Result<Self, SandboxError> {
        let mut disk = Self {
            folders: folders.into(),
            at_start: 0,
            last: Arc::default(),
        };
        let look = disk.measure(&Cgroup::default(), None).await?;
        disk.at_start = look.bytes();
        Ok(disk)
    }

    /// By how much they have grown, at least; what `members` hold of deleted files counts too.
    pub(super) async fn grown(&self, members: &Cgroup) -> Result<u64, SandboxError> {
        let look = self.look(members, None).await?;
        Ok(look.bytes())
    }

    /// The same, and whether that is all; by `until`.
    pub(super) async fn look(
        &self,
        members: &Cgroup,
        until: Option<Instant>,
    ) -> Result<Look, SandboxError> {
        let look = match self.measure(members, until).await? {
            Look::All(bytes) => Look::All(bytes.saturating_sub(self.at_start)),
            Look::AtLeast(bytes) => Look::AtLeast(bytes.saturating_sub(self.at_start)),
            Look::Late => return Ok(Look::Late),
        };
        let at = Instant::now();
        *self.noted() = Some(Measure { at, look });
        Ok(look)
    }

    /// What was measured last, whoever asked for it.
    pub(super) fn last(&self) -> Option<Measure> {
        *self.noted()
    }

    fn noted(&self) -> MutexGuard<'_, Option<Measure>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends once they have grown beyond `limit`, or may have.
    pub(super) async fn exceeded(
        &self,
        limit: u64,
        members: &Cgroup,
    ) -> Result<Excess, SandboxError> {
        let mut grown = 0;
        let mut hidden = 0_u32;
        let mut free = self.free()?;
        let mut measured = Instant::now();
        let mut took = Duration::ZERO;
        loop {
            tokio::time::sleep(TICK).await;
            let lost = free.saturating_sub(self.free()?);
            let old = measured.elapsed() > BELIEVED.max(took * REST);
            let near = lost >= limit.saturating_sub(grown) && measured.elapsed() > took;
            let again = hidden > 0 && measured.elapsed() > AGAIN.max(took);
            if !old && !near && !again {
                continue;
            }
            free = self.free()?;
            let begun = Instant::now();
            let look = self.look(members, None).await?;
            measured = Instant::now();
            took = measured - begun;
            grown = look.bytes();
            if grown > limit {
                return Ok(Excess::Known);
            }
            hidden = match look {
                Look::AtLeast(_) => hidden + 2,
                Look::All(_) | Look::Late => hidden.saturating_sub(1),
            };
            if hidden >= 2 * PATIENCE {
                return Ok(Excess::Hidden);
            }
        }
    }

    /// Free bytes of the file systems that the folders are on.
    fn free(&self) -> Result<u64, SandboxError> {
        let mut free = 0_u64;
        let mut seen = HashSet::new();
        for folder in self.folders.iter() {
            let found = rustix::fs::statvfs(folder);
            let found = found.map_err(SandboxError::io(format!(
                "ask {} for its space",
                folder.display()
            )))?;
            if seen.insert(found.f_fsid) {
                free = free.saturating_add(found.f_bfree.saturating_mul(found.f_frsize));
            }
        }
        Ok(free)
    }

    /// All that is there.
    async fn measure(
        &self,
        members: &Cgroup,
        until: Option<Instant>,
    ) -> Result<Look, SandboxError> {
        let folders = Arc::clone(&self.folders);
        let members = members.clone();
        let measured = tokio::task::spawn_blocking(move || {
            let mut counted = Counted {
                until,
                ..Counted::default()
            };
            for folder in folders.iter() {
                counted.tree(folder)?;
            }
            counted.held(&members);
            Ok(counted.found())
        });
        let measured = measured
            .await
            .map_err(SandboxError::io("measure the run's folders"))?;
        measured.map_err(|error: Errno| SandboxError::io("measure the run's folders")(error))
    }
}

impl Look {
    /// What is known.
    fn bytes(self) -> u64 {
        match self {
            Self::All(bytes) | Self::AtLeast(bytes) => bytes,
            Self::Late => u64::MAX,
        }
    }
}

#[derive(Default)]
struct Counted {
    bytes: u64,
    /// Files with several names, by device and number.
    linked: HashSet<(u64, u64)>,
    devices: HashSet<u64>,
    /// Nothing is counted from then on.
    until: Option<Instant>,
    /// Open files and mappings so far.
    looked: u32,
    /// Some is where nobody can look.
    is_part: bool,
}

impl Counted {
    fn found(&self) -> Look {
        match (self.is_late(), self.is_part) {
            (true, _) => Look::Late,
            (false, true) => Look::AtLeast(self.bytes),
            (false, false) => Look::All(self.bytes),
        }
    }

    fn is_late(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// Adds a tree. Nothing is followed; what vanishes meanwhile is not counted.
    fn tree(&mut self, path: &Path) -> Result<(), Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let top = rustix::fs::open(path, flags, Mode::empty())?;
        self.devices.insert(rustix::fs::fstat(&top)?.st_dev);
        let mut open = vec![Dir::new(top)?];
        while let Some(folder) = open.last_mut()
            && !self.is_late()
        {
            let Some(entry) = folder.next() else {
                open.pop();
                continue;
            };
            let Ok(entry) = entry else {
                open.pop();
                continue;
            };
            if [c".", c".."].contains(&entry.file_name()) {
                continue;
            }
            match self.entry(folder, entry.file_name()) {
                Ok(Some(below)) if open.len() < MAX_DEPTH => open.push(Dir::new(below)?),
                Ok(Some(_)) => self.bytes = u64::MAX,
                Ok(None) | Err(Errno::NOENT | Errno::ACCESS | Errno::NOTDIR | Errno::LOOP) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Counts one name; the folder that it is, opened.
    fn entry(&mut self, folder: &Dir, name: &std::ffi::CStr) -> Result<Option<OwnedFd>, Errno> {
        let folder = folder.fd()?;
        let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        self.bytes = self.bytes.saturating_add(ENTRY);
        let first = stat.st_nlink < 2 || self.linked.insert((stat.st_dev, stat.st_ino));
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            self.add(stat.st_blocks);
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            return rustix::fs::openat(folder, name, flags, Mode::empty()).map(Some);
        }
        if first {
            self.add(stat.st_blocks);
        }
        Ok(None)
    }

    fn add(&mut self, blocks: i64) {
        let blocks = u64::try_from(blocks).unwrap_or(0);
        self.bytes = self.bytes.saturating_add(blocks * BLOCK);
    }
}
