//! The machine, and which of its cores serve and which generate load.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::fs::statfs;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::Serialize;

/// Below this the two would only get in each other's way.
const CORES_TO_SPLIT: usize = 4;
/// `statfs`'s type of tmpfs, where an fsync costs nothing.
const TMPFS: i64 = 0x0102_1994;

/// How cores are shared out.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    all: Vec<usize>,
    split: bool,
}

impl Machine {
    /// The cores that this process may use; in halves when there are enough and `pin` says so.
    pub(crate) fn new(pin: bool) -> Self {
        let all: Vec<usize> = sched_getaffinity(None).map_or_else(
            |_| vec![0],
            |set| {
                (0..CpuSet::MAX_CPU)
                    .filter(|&cpu| set.is_set(cpu))
                    .collect()
            },
        );
        Self {
            split: pin && all.len() >= CORES_TO_SPLIT,
            all,
        }
    }

    fn server_cores(&self) -> &[usize] {
        if self.split {
            &self.all[..self.all.len() / 2]
        } else {
            &self.all
        }
    }

    fn generator_cores(&self) -> &[usize] {
        if self.split {
            &self.all[self.all.len() / 2..]
        } else {
            &self.all
        }
    }

    /// How many cores a server has.
    pub(crate) fn server_threads(&self) -> usize {
        self.server_cores().len()
    }

    /// How many threads make load: one a core.
    pub(crate) fn generator_threads(&self) -> usize {
        self.generator_cores().len()
    }

    /// Moves the calling thread to the generator's cores.
    pub(crate) fn pin_generator(&self) {
        pin(self.generator_cores());
    }

    /// All cores for whoever has work, this thread and what it starts from now on: for cases without a load.
    pub(crate) fn shared(&self) -> Self {
        let shared = Self {
            all: self.all.clone(),
            split: false,
        };
        shared.pin_generator();
        shared
    }

    /// Runs `start` on the server's cores, so that the process it starts inherits them from its first instruction on.
    pub(crate) fn as_server<T>(&self, start: impl FnOnce() -> T) -> T {
        pin(self.server_cores());
        let started = start();
        self.pin_generator();
        started
    }

    /// What the report says about it.
    pub(crate) fn describe(&self, folder: &Path) -> Description {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let value = |text: &str, key: &str| {
            let line = text.lines().find(|line| line.starts_with(key));
            let value = line
                .and_then(|line| line.split_once(':'))
                .map(|(_, value)| value.trim().to_owned());
            value.unwrap_or_else(|| "unknown".to_owned())
        };
        let sharing = if self.split {
            format!(
                "pinned apart: servers on {}, load generator on {}",
                self.server_cores().len(),
                self.generator_cores().len()
            )
        } else {
            "shared by server and load generator".to_owned()
        };
        let kernel = Command::new("uname").arg("-r").output();
        Description {
            processor: value(&read("/proc/cpuinfo"), "model name"),
            cores: self.all.len(),
            sharing,
            memory: value(&read("/proc/meminfo"), "MemTotal"),
            kernel: kernel.map_or_else(
                |_| "unknown".to_owned(),
                |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
            ),
            disk: disk(folder),
            load_before: read("/proc/loadavg")
                .split(' ')
                .take(3)
                .collect::<Vec<_>>()
                .join(" "),
        }
    }
}

/// What figures must be read with.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Description {
    /// The processor's name.
    pub(crate) processor: String,
    /// Cores in use.
    pub(crate) cores: usize,
    /// How server and generator share them.
    pub(crate) sharing: String,
    /// Memory.
    pub(crate) memory: String,
    /// The kernel's release.
    pub(crate) kernel: String,
    /// What the data stands on.
    pub(crate) disk: String,
    /// The load averages before the run: anything near the number of cores spoils it.
    pub(crate) load_before: String,
}

fn disk(folder: &Path) -> String {
    let tmpfs = statfs(folder).is_ok_and(|stat| stat.f_type == TMPFS);
    if tmpfs {
        return "tmpfs: durable writes cost nothing here, choose another with --dir".to_owned();
    }
    let output = Command::new("df")
        .arg("--output=fstype,source")
        .arg(folder)
        .output();
    output.map_or_else(
        |_| "unknown".to_owned(),
        |output| {
            let text = String::from_utf8_lossy(&output.stdout);
            let line = text.lines().nth(1).unwrap_or("unknown");
            line.split_ascii_whitespace()
                .collect::<Vec<_>>()
                .join(" on ")
        },
    )
}

/// Best effort: where it is not allowed the run is still valid, only noisier.
fn pin(cores: &[usize]) {
    let mut set = CpuSet::new();
    for &core in cores {
        set.set(core);
    }
    let _ = sched_setaffinity(None, &set);
}
