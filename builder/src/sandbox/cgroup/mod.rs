//! A run's control group: made and filled by us, not by the runtime, which has no right to.
//!
//! One folder in the version 2 tree, or one for each controller of version 1, or both on a hybrid machine. Limits are
//! written before any process is in, and read back.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::error::SandboxError;

mod count;
mod hierarchy;
mod limit;
#[cfg(test)]
mod tests;

pub(super) use hierarchy::Hierarchies;

/// How long a group is waited for to be empty: 20 seconds.
const PAUSE: Duration = Duration::from_millis(5);
const TRIES: u32 = 4000;

/// The folders of one run. Dropping it removes nothing: [`Cgroup::remove`] does, or the next start.
#[derive(Clone, Debug, Default)]
pub(super) struct Cgroup {
    /// Every folder that its processes are in.
    folders: Vec<PathBuf>,
    memory: Option<Place>,
    pids: Option<Place>,
    cpu: Option<Place>,
    /// Version 1 counts processor time in a tree of its own.
    cpuacct: Option<PathBuf>,
    freezer: Option<PathBuf>,
    /// Where the version 1 tree is mounted, and the folder in it.
    cpuset: Option<(PathBuf, PathBuf)>,
}

/// Where a controller's files are, and in which version's words.
#[derive(Clone, Debug)]
enum Place {
    V1(PathBuf),
    V2(PathBuf),
}

impl Cgroup {
    /// The folders that a run named `name` beneath `parent` would have. Nothing is made.
    pub(super) fn plan(hierarchies: &Hierarchies, parent: &Path, name: &str) -> Self {
        let inside = |mount: &Path| {
            let parent = parent.strip_prefix("/").unwrap_or(parent);
            mount.join(parent).join(name)
        };
        let v2 = hierarchies.v2.as_ref().map(|(mount, _)| inside(mount));
        let v1 = |controller: &str| hierarchies.v1.get(controller).map(|mount| inside(mount));
        let place = |controller: &str| match &v2 {
            Some(folder) if hierarchies.in_v2(controller) => Some(Place::V2(folder.clone())),
            _ => v1(controller).map(Place::V1),
        };
        let old: BTreeSet<_> = hierarchy::V1.into_iter().filter_map(v1).collect();
        Self {
            folders: old.into_iter().chain(v2.clone()).collect(),
            memory: place("memory"),
            pids: place("pids"),
            cpu: place("cpu"),
            cpuacct: v1("cpuacct"),
            freezer: v1("freezer"),
            cpuset: hierarchies.v1.get("cpuset").cloned().zip(v1("cpuset")),
        }
    }

    /// The group that is these folders: what a run before us left behind.
    pub(super) fn of(folders: Vec<PathBuf>) -> Self {
        let freezer = folders
            .iter()
            .find(|folder| folder.join("freezer.state").exists());
        Self {
            freezer: freezer.cloned(),
            folders,
            ..Self::default()
        }
    }

    pub(super) fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// Version 1 folders by controller's name, for those inside to see their limits.
    pub(super) fn v1_folders(&self) -> Vec<(String, PathBuf)> {
        let name = |folder: &PathBuf| {
            let mount = folder
                .ancestors()
                .find(|above| above.join("release_agent").exists())?;
            let name = mount.file_name()?.to_str()?.to_owned();
            Some((name, folder.clone()))
        };
        self.folders.iter().filter_map(name).collect()
    }

    /// Moves a process in, before it has children.
    pub(super) fn admit(&self, pid: u32) -> Result<(), SandboxError> {
        for folder in &self.folders {
            let file = folder.join("cgroup.procs");
            let written = fs::write(&file, pid.to_string());
            written.map_err(SandboxError::io(format!("write {}", file.display())))?;
        }
        Ok(())
    }

    /// Whether a process is in every folder of this group, as the kernel says it.
    pub(super) fn holds(&self, pid: u32) -> bool {
        let mut folders = self.folders.iter();
        folders.all(|folder| members(folder).contains(&pid))
    }

    /// Every process that is in.
    pub(super) fn processes(&self) -> BTreeSet<u32> {
        self.folders
            .iter()
            .flat_map(|folder| members(folder))
            .collect()
    }

    /// Kills every process at once: none can fork away meanwhile.
    pub(super) fn kill(&self) {
        for folder in &self.folders {
            // Since Linux 5.14, and only in version 2; there it is all that is needed.
            let _ = fs::write(folder.join("cgroup.kill"), "1");
        }
        // Version 1's freezer makes the kernel change its own code, which takes all processors' time.
        if self.processes().is_empty() {
            return;
        }
        let set = |state: &str| {
            if let Some(freezer) = &self.freezer {
                let _ = fs::write(freezer.join("freezer.state"), state);
            }
        };
        set("FROZEN");
        for pid in self.processes() {
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
            if let Some(pid) = pid {
                // One that is gone already is what was wanted.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        set("THAWED");
    }

    /// Kills until nothing is left, then removes the folders.
    pub(super) async fn remove(&self) -> Result<(), SandboxError> {
        for number in 0..TRIES {
            if self.step(number) {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(self.undead())
    }

    /// The same, on a thread of its own.
    pub(super) fn remove_blocking(&self) -> Result<(), SandboxError> {
        for number in 0..TRIES {
            if self.step(number) {
                return Ok(());
            }
            std::thread::sleep(PAUSE);
        }
        Err(self.undead())
    }

    fn step(&self, number: u32) -> bool {
        if number.is_multiple_of(20) {
            self.kill();
        }
        self.try_remove()
    }

    fn undead(&self) -> SandboxError {
        let cgroup = self.folders.first().cloned().unwrap_or_default();
        SandboxError::Undead { cgroup }
    }

    /// Removes what is empty; whether nothing is left.
    pub(super) fn try_remove(&self) -> bool {
        let gone = |folder: &PathBuf| match fs::remove_dir(folder) {
            Ok(()) => true,
            Err(error) => error.kind() == ErrorKind::NotFound,
        };
        // All are tried, so that one that is busy does not keep the others.
        self.folders.iter().filter(|folder| !gone(folder)).count() == 0
    }
}

/// Hands the controllers that runs need down to `parent`'s children, in the version 2 tree.
pub(super) fn delegate(hierarchies: &Hierarchies, parent: &Path) -> Result<(), SandboxError> {
    let Some((mount, _)) = &hierarchies.v2 else {
        return Ok(());
    };
    let wanted: Vec<_> = ["cpu", "memory", "pids"]
        .into_iter()
        .filter(|controller| hierarchies.in_v2(controller))
        .collect();
    let mut folder = mount.clone();
    let parts = parent.strip_prefix("/").unwrap_or(parent).components();
    let mut folders = vec![folder.clone()];
    for part in parts {
        folder.push(part);
        folders.push(folder.clone());
    }
    for folder in folders {
        let made = fs::create_dir_all(&folder);
        made.map_err(SandboxError::io(format!(
            "make the cgroup {}",
            folder.display()
        )))?;
        let file = folder.join("cgroup.subtree_control");
        let has = fs::read_to_string(&file).unwrap_or_default();
        for controller in &wanted {
            if has.split_whitespace().any(|word| word == *controller) {
                continue;
            }
            fs::write(&file, format!("+{controller}")).map_err(|error| {
                SandboxError::Unsupported(format!(
                    "controller {controller} cannot be handed down in {} ({error}); run the server in a cgroup of its \
                     own with Delegate=yes, or set the parent cgroup to one that holds no processes",
                    folder.display()
                ))
            })?;
        }
    }
    Ok(())
}

fn members(folder: &Path) -> BTreeSet<u32> {
    let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}
