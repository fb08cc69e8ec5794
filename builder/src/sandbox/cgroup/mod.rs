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
use super::process::Limits;

mod hierarchy;
#[cfg(test)]
mod tests;

pub(super) use hierarchy::Hierarchies;

/// The kernel's scheduling period that processor time is given out in.
const PERIOD_MICROS: u64 = 100_000;
/// What the runtime needs to start; a run with less would end before it begins, as if by its own fault.
const MIN_MEMORY: u64 = 32 << 20;
const MIN_PROCESSES: u32 = 32;
const MIN_MILLICPUS: u32 = 10;

/// How long a group is waited for to be empty: 20 seconds.
const PAUSE: Duration = Duration::from_millis(5);
const TRIES: u32 = 4000;

/// The folders of one run. Dropping it removes nothing: [`Cgroup::remove`] does, or the next start.
#[derive(Debug, Default)]
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

/// What the kernel counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) cpu: Duration,
    pub(super) memory: u64,
    pub(super) memory_kills: u64,
    pub(super) process_refusals: u64,
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

    /// Makes the folders and puts the limits in force.
    pub(super) fn make(&self, limits: &Limits) -> Result<(), SandboxError> {
        for folder in &self.folders {
            let made = fs::create_dir_all(folder);
            made.map_err(SandboxError::io(format!(
                "make the cgroup {}",
                folder.display()
            )))?;
        }
        if let Some((mount, folder)) = &self.cpuset {
            inherit_cpuset(mount, folder)?;
        }
        if let Some(bytes) = limits.memory {
            self.limit_memory(bytes.max(MIN_MEMORY))?;
        }
        if let Some(count) = limits.processes {
            let (Place::V1(folder) | Place::V2(folder)) = needed(self.pids.as_ref(), "pids")?;
            put(folder, "pids.max", u64::from(count.max(MIN_PROCESSES)))?;
        }
        if let Some(millicpus) = limits.millicpus {
            let quota = u64::from(millicpus.max(MIN_MILLICPUS)) * PERIOD_MICROS / 1000;
            match needed(self.cpu.as_ref(), "cpu")? {
                Place::V1(folder) => {
                    put(folder, "cpu.cfs_period_us", PERIOD_MICROS)?;
                    put(folder, "cpu.cfs_quota_us", quota)?;
                }
                Place::V2(folder) => {
                    put_text(folder, "cpu.max", &format!("{quota} {PERIOD_MICROS}"))?;
                }
            }
        }
        Ok(())
    }

    fn limit_memory(&self, bytes: u64) -> Result<(), SandboxError> {
        // The kernel counts in pages and would round, which reading back would find.
        let bytes = bytes & !4095;
        match needed(self.memory.as_ref(), "memory")? {
            Place::V1(folder) => {
                put(folder, "memory.limit_in_bytes", bytes)?;
                // Without swap accounting there is no such file, and without swap no need for it.
                if folder.join("memory.memsw.limit_in_bytes").exists() {
                    put(folder, "memory.memsw.limit_in_bytes", bytes)?;
                }
            }
            Place::V2(folder) => {
                put(folder, "memory.max", bytes)?;
                if folder.join("memory.swap.max").exists() {
                    put(folder, "memory.swap.max", 0)?;
                }
            }
        }
        Ok(())
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
    fn try_remove(&self) -> bool {
        let gone = |folder: &PathBuf| match fs::remove_dir(folder) {
            Ok(()) => true,
            Err(error) => error.kind() == ErrorKind::NotFound,
        };
        // All are tried, so that one that is busy does not keep the others.
        self.folders.iter().filter(|folder| !gone(folder)).count() == 0
    }

    /// What the kernel counted so far.
    pub(super) fn counted(&self) -> Counted {
        let mut counted = Counted::default();
        match &self.memory {
            Some(Place::V1(folder)) => {
                counted.memory = number(folder, "memory.max_usage_in_bytes");
                counted.memory_kills = field(folder, "memory.oom_control", "oom_kill");
            }
            Some(Place::V2(folder)) => {
                counted.memory = number(folder, "memory.peak");
                counted.memory_kills = field(folder, "memory.events", "oom_kill");
            }
            None => {}
        }
        if let Some(Place::V1(folder) | Place::V2(folder)) = &self.pids {
            counted.process_refusals = field(folder, "pids.events", "max");
        }
        match (&self.cpu, &self.cpuacct) {
            (Some(Place::V2(folder)), _) => {
                counted.cpu = Duration::from_micros(field(folder, "cpu.stat", "usage_usec"));
            }
            (_, Some(folder)) => {
                counted.cpu = Duration::from_nanos(number(folder, "cpuacct.usage"));
            }
            (_, None) => {}
        }
        counted
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

/// Gives every folder from below `mount` to `folder` the processors and memory of the one above: a new one has none, and takes no
/// process in.
fn inherit_cpuset(mount: &Path, folder: &Path) -> Result<(), SandboxError> {
    let between = folder.ancestors().take_while(|above| *above != mount);
    for folder in between.collect::<Vec<_>>().into_iter().rev() {
        let above = folder.parent().unwrap_or(mount);
        for name in ["cpuset.cpus", "cpuset.mems"] {
            let file = folder.join(name);
            let is_empty = |text: String| text.trim().is_empty();
            let copied = match fs::read_to_string(&file).map(is_empty) {
                Ok(false) => continue,
                _ => fs::read_to_string(above.join(name)).and_then(|text| fs::write(&file, text)),
            };
            copied.map_err(SandboxError::io(format!("write {}", file.display())))?;
        }
    }
    Ok(())
}

fn needed<'a>(place: Option<&'a Place>, controller: &str) -> Result<&'a Place, SandboxError> {
    place.ok_or_else(|| {
        SandboxError::Unsupported(format!(
            "there is no cgroup controller {controller}, so its limit cannot be enforced"
        ))
    })
}

fn put(folder: &Path, name: &str, value: u64) -> Result<(), SandboxError> {
    put_text(folder, name, &value.to_string())
}

/// Writes a limit and reads it back.
fn put_text(folder: &Path, name: &str, value: &str) -> Result<(), SandboxError> {
    let file = folder.join(name);
    let written = fs::write(&file, value).and_then(|()| fs::read_to_string(&file));
    let found = written.map_err(SandboxError::io(format!("write {}", file.display())))?;
    if found.trim() != value {
        return Err(SandboxError::NotInForce {
            limit: file.display().to_string(),
            asked: value.to_owned(),
            found: found.trim().to_owned(),
        });
    }
    Ok(())
}

fn members(folder: &Path) -> BTreeSet<u32> {
    let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

fn number(folder: &Path, name: &str) -> u64 {
    let text = fs::read_to_string(folder.join(name)).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

/// `name` of a file of `name value` lines.
fn field(folder: &Path, file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(folder.join(file)).unwrap_or_default();
    let value = |line: &str| {
        line.strip_prefix(name)?
            .strip_prefix(' ')?
            .trim()
            .parse()
            .ok()
    };
    text.lines().find_map(value).unwrap_or(0)
}
