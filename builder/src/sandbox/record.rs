//! What must be found again if we are killed: a run's folder, with the names of its cgroups.
//!
//! The folder is made before the cgroups and removed after them. Everything else of a run ends with us.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use super::cgroup::Cgroup;
use super::error::SandboxError;

const CGROUPS: &str = "cgroups";

/// A run that is under way. Dropped before it is removed, it is removed by a thread.
pub(super) struct Record {
    folder: PathBuf,
    cgroup: Cgroup,
    removed: bool,
}

/// What a start found of runs before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Runs whose leftovers were removed.
    pub runs: usize,
    /// Processes of theirs that were still there.
    pub processes: usize,
}

impl Record {
    /// Writes down a run before anything of it is made.
    pub(super) fn make(runs: &Path, name: &str, cgroup: Cgroup) -> Result<Self, SandboxError> {
        let folder = runs.join(name);
        let mut text = Vec::new();
        for place in cgroup.folders() {
            text.extend_from_slice(place.as_os_str().as_bytes());
            text.push(0);
        }
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(folder.join(CGROUPS), text))
            .map_err(SandboxError::io(format!("make {}", folder.display())))?;
        Ok(Self {
            folder,
            cgroup,
            removed: false,
        })
    }

    pub(super) fn cgroup(&self) -> &Cgroup {
        &self.cgroup
    }

    /// Ends what is left of a run and forgets it.
    pub(super) async fn remove(mut self) -> Result<(), SandboxError> {
        self.removed = true;
        self.cgroup.remove().await?;
        remove(&self.folder)
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.removed {
            return;
        }
        self.cgroup.kill();
        let cgroup = std::mem::take(&mut self.cgroup);
        let folder = std::mem::take(&mut self.folder);
        // What cannot be removed now is removed by the next start.
        std::thread::spawn(move || {
            if cgroup.remove_blocking().is_ok() {
                let _ = remove(&folder);
            }
        });
    }
}

/// Removes what earlier runs left behind. No run may be under way.
pub(super) async fn recover(runs: &Path) -> Result<Recovered, SandboxError> {
    let mut recovered = Recovered::default();
    let what = || SandboxError::io(format!("read {}", runs.display()));
    let entries = match fs::read_dir(runs) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(recovered),
        Err(error) => return Err(what()(error)),
    };
    for entry in entries {
        let folder = entry.map_err(what())?.path();
        let name = folder.file_name().unwrap_or(OsStr::new(""));
        let text = fs::read(folder.join(CGROUPS)).unwrap_or_default();
        let path = |bytes: &[u8]| PathBuf::from(OsString::from_vec(bytes.to_vec()));
        let places = text.split(|&byte| byte == 0).map(path);
        // A name that was cut short when we were killed is of a group that was not made yet.
        let cgroup = Cgroup::of(places.filter(|place| place.ends_with(name)).collect());
        recovered.processes += cgroup.processes().len();
        cgroup.remove().await?;
        remove(&folder)?;
        recovered.runs += 1;
    }
    Ok(recovered)
}

/// The cgroups are gone by now, so a removal that is cut short loses nothing.
fn remove(folder: &Path) -> Result<(), SandboxError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(SandboxError::io(format!(
            "remove {}",
            folder.display()
        ))(error)),
        _ => Ok(()),
    }
}
