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
        self.cgroup.remove().await?;
        remove(&self.folder)?;
        // Not before: whoever drops this future half-way leaves the rest to the thread.
        self.removed = true;
        Ok(())
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.removed {
            return;
        }
        self.cgroup.kill();
        // At once if nothing is in it any more: a server that ends waits for no thread.
        if self.cgroup.try_remove() && remove(&self.folder).is_ok() {
            return;
        }
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

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};
    use std::time::{Duration, Instant};

    use super::*;

    /// A server that ends waits for no thread. The group that is not there is an empty one that was removed.
    #[test]
    fn what_has_no_process_is_forgotten_at_once() {
        let runs = tempfile::tempdir().unwrap();
        let cgroup = Cgroup::of(vec![runs.path().join("group")]);
        let record = Record::make(runs.path(), "run", cgroup).unwrap();
        assert!(runs.path().join("run").exists());
        drop(record);
        assert!(!runs.path().join("run").exists());
    }

    /// The group is a plain folder, which stays as long as a file is in it: a process that does not die at once.
    #[test]
    fn a_removal_that_nobody_waits_for_any_more_goes_on() {
        let runs = tempfile::tempdir().unwrap();
        let group = runs.path().join("group");
        fs::create_dir(&group).unwrap();
        let process = group.join("process");
        fs::write(&process, "").unwrap();
        let cgroup = Cgroup::of(vec![group.clone()]);
        let record = Record::make(runs.path(), "run", cgroup).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        {
            let _entered = runtime.enter();
            let mut removal = pin!(record.remove());
            let mut context = Context::from_waker(Waker::noop());
            assert!(removal.as_mut().poll(&mut context).is_pending());
        }
        // In a real group the files that `kill` writes to are the kernel's, and do not keep it.
        for entry in fs::read_dir(&group).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        let begun = Instant::now();
        while runs.path().join("run").exists() || group.exists() {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "it is left behind"
            );
            // `kill` may write once more.
            let _ = fs::remove_file(group.join("cgroup.kill"));
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
