//! What the kernel counted of a run.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{Cgroup, Place};

/// What the kernel counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Counted {
    pub(in super::super) cpu: Duration,
    pub(in super::super) memory: u64,
    pub(in super::super) memory_kills: u64,
    pub(in super::super) process_refusals: u64,
}

impl Cgroup {
    /// What the kernel counted so far.
    pub(in super::super) fn counted(&self) -> Counted {
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
