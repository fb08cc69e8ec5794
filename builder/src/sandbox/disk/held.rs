//! What a run holds of files that have no name any more.
//!
//! They are found where processes hold them: open, only mapped, or executed. All threads of a process share what is open, as system calls
//! that end that are refused ([`super::super::oci_runtime`]), and so are those by which rules hold files. What is under way from one socket
//! to another is nowhere to be seen; the kernel says only that there is some.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File, Metadata};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{BLOCK, Counted};
use crate::sandbox::cgroup::Cgroup;

/// So many open files and mappings are looked at, which takes some seconds.
const MOST: u32 = 1 << 20;
/// So often is asked who is there: processes begin others and end while they are looked at.
const ROUNDS: u32 = 4;
/// What is under way is looked for again so often, so far apart: what is handed over arrives.
const LOOKS: u32 = 4;
const ARRIVES: Duration = Duration::from_millis(50);
/// Something is hidden if so many of them found it under way: what is sent on and on is not where it is looked for each time.
const FOUND: usize = 2;
/// `OVERLAYFS_SUPER_MAGIC`.
const OVERLAY: i64 = 0x794C_7630;

impl Counted {
    /// Adds what they hold.
    pub(super) fn held(&mut self, members: &Cgroup) {
        let mut found = 0;
        if self.look(members) {
            let again = (1..LOOKS).filter(|_| {
                std::thread::sleep(ARRIVES);
                self.look(members)
            });
            found = 1 + again.count();
        }
        self.is_part = found >= FOUND || self.looked >= MOST;
    }

    /// Whether something is under way.
    fn look(&mut self, members: &Cgroup) -> bool {
        let mut seen = BTreeSet::new();
        let mut sockets = HashMap::new();
        for _ in 0..ROUNDS {
            let new: Vec<_> = members.processes().difference(&seen).copied().collect();
            if new.is_empty() {
                break;
            }
            for &process in &new {
                self.process(process, &mut sockets);
            }
            seen.extend(new);
        }
        // One right after the other, and in the map's order, which nobody can foresee: what moves on could be ahead of any other.
        sockets.values().any(|socket| has_under_way(socket))
    }

    fn process(&mut self, process: u32, sockets: &mut HashMap<u64, PathBuf>) {
        let (thread, maps) = living(process).map_or((process, None), |(id, maps)| (id, Some(maps)));
        if let Some(maps) = maps {
            self.mapped(thread, maps);
        }
        let executed = PathBuf::from(format!("/proc/{thread}/exe"));
        if let Ok(metadata) = fs::metadata(&executed) {
            self.nameless(&executed, &metadata);
        }
        self.open(thread, sockets);
    }

    /// Adds what is mapped, where this process may ask: as root of a user namespace it may not.
    fn mapped(&mut self, thread: u32, mut maps: BufReader<File>) {
        let mut line = Vec::new();
        while self.goes_on() && matches!(maps.read_until(b'\n', &mut line), Ok(1..)) {
            if line.ends_with(b" (deleted)\n")
                && let Some((start, end)) = range(&line)
            {
                let path = format!("/proc/{thread}/map_files/{start:x}-{end:x}");
                if let Ok(metadata) = fs::metadata(&path) {
                    self.nameless(path.as_ref(), &metadata);
                }
            }
            line.clear();
        }
    }

    /// Adds what is open, and to `sockets` what the kernel says of its sockets.
    fn open(&mut self, thread: u32, sockets: &mut HashMap<u64, PathBuf>) {
        let files = fs::read_dir(format!("/proc/{thread}/fd"));
        for file in files.into_iter().flatten().flatten() {
            if !self.goes_on() {
                break;
            }
            let path = file.path();
            let Ok(metadata) = fs::metadata(&path) else {
                continue;
            };
            if metadata.file_type().is_socket() {
                let folder = PathBuf::from(format!("/proc/{thread}/fdinfo"));
                sockets
                    .entry(metadata.ino())
                    .or_insert_with(|| folder.join(file.file_name()));
            } else {
                self.nameless(&path, &metadata);
            }
        }
    }

    fn nameless(&mut self, path: &Path, metadata: &Metadata) {
        if !metadata.is_file() || metadata.nlink() > 0 {
            return;
        }
        // On an overlay a file has the device of the layer that it was written to, or the overlay's own. What is in memory is on neither.
        let is_on_disk = self.devices.contains(&metadata.dev())
            || rustix::fs::statfs(path).is_ok_and(|found| found.f_type == OVERLAY);
        if is_on_disk && self.linked.insert((metadata.dev(), metadata.ino())) {
            let bytes = metadata.blocks().saturating_mul(BLOCK);
            self.bytes = self.bytes.saturating_add(bytes);
        }
    }

    fn goes_on(&mut self) -> bool {
        self.looked = self.looked.saturating_add(1);
        self.looked < MOST && !self.is_late()
    }
}

/// A thread of a process that has not ended, as the first may have, and its mappings.
fn living(process: u32) -> Option<(u32, BufReader<File>)> {
    let maps = |thread: u32| {
        let mut maps = BufReader::new(File::open(format!("/proc/{thread}/maps")).ok()?);
        let is_living = !maps.fill_buf().ok()?.is_empty();
        is_living.then_some((thread, maps))
    };
    maps(process).or_else(|| {
        let mut threads = fs::read_dir(format!("/proc/{process}/task"))
            .ok()?
            .flatten();
        threads.find_map(|thread| maps(thread.file_name().to_str()?.parse().ok()?))
    })
}

/// Where a line of mappings says that it is.
fn range(line: &[u8]) -> Option<(u64, u64)> {
    let range = line.split(|byte| *byte == b' ').next()?;
    let (start, end) = std::str::from_utf8(range).ok()?.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some((number(start)?, number(end)?))
}

/// Whether open files were sent to a socket and not received.
fn has_under_way(socket: &Path) -> bool {
    let told = fs::read_to_string(socket).unwrap_or_default();
    let files = told.lines().find_map(|line| line.strip_prefix("scm_fds:"));
    files.is_some_and(|files| files.trim() != "0")
}
