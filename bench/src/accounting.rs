//! What a process and its children use, from `/proc` (proc(5)).

use std::fs;

use anyhow::{Context as _, Result};

/// CPU time and memory of a process tree.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// User and system time since its start, in seconds; after [`Usage::since`], in between.
    pub(crate) cpu: f64,
    /// Resident memory in bytes.
    pub(crate) resident: u64,
    /// Anonymous resident memory in bytes: without file pages, which the kernel can take back.
    pub(crate) anonymous: u64,
    /// The highest resident memory since the peak was last forgotten, in bytes.
    pub(crate) peak: u64,
}

impl Usage {
    /// Of a process and its direct children (nginx's workers).
    ///
    /// # Errors
    /// The process is gone.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let mut total = Self::default();
        for pid in family(pid) {
            let one = Self::of_one(pid)?;
            total.cpu += one.cpu;
            total.resident += one.resident;
            total.anonymous += one.anonymous;
            total.peak += one.peak;
        }
        Ok(total)
    }

    fn of_one(pid: u32) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let bytes = |name: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let line = line.with_context(|| format!("no {name} in /proc/{pid}/status"))?;
            let kibibytes: u64 = line.trim_end_matches("kB").trim().parse()?;
            Ok(kibibytes * 1024)
        };
        Ok(Self {
            cpu: cpu(&pid.to_string())?,
            resident: bytes("VmRSS:")?,
            anonymous: bytes("RssAnon:")?,
            peak: bytes("VmHWM:")?,
        })
    }

    /// This reading's memory, and the CPU time since an earlier reading.
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            cpu: self.cpu - before.cpu,
            ..*self
        }
    }
}

/// Lets `VmHWM` begin anew. Best effort: a kernel without it reports the peak since the start.
pub(crate) fn forget_peak(pid: u32) {
    for pid in family(pid) {
        let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
    }
}

/// This program's own CPU time in seconds.
///
/// # Errors
/// `/proc` is not mounted.
pub(crate) fn own_cpu() -> Result<f64> {
    cpu("self")
}

/// utime and stime, fields 14 and 15 of `/proc/PID/stat`, counted after the name, which may hold anything.
fn cpu(pid: &str) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("/proc/PID/stat")?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let mut field = || -> Result<u64> { Ok(fields.next().context("/proc/PID/stat")?.parse()?) };
    let ticks = field()? + field()?;
    Ok(crate::number(ticks) / crate::number(rustix::param::clock_ticks_per_second()))
}

fn family(pid: u32) -> Vec<u32> {
    let children =
        fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children = children
        .split_ascii_whitespace()
        .filter_map(|child| child.parse().ok());
    std::iter::once(pid).chain(children).collect()
}
