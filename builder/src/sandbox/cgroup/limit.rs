//! Putting limits in force: each is written, and read back.

use std::fs;
use std::path::Path;

use super::super::error::SandboxError;
use super::super::process::Limits;
use super::{Cgroup, Place};

/// The kernel's scheduling period that processor time is given out in.
const PERIOD_MICROS: u64 = 100_000;
/// What the runtime needs to start; a run with less would end before it begins, as if by its own fault.
const MIN_MEMORY: u64 = 32 << 20;
const MIN_PROCESSES: u32 = 32;
const MIN_MILLICPUS: u32 = 10;

impl Cgroup {
    /// Makes the folders and puts the limits in force.
    pub(in super::super) fn make(&self, limits: &Limits) -> Result<(), SandboxError> {
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
