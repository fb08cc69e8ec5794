//! `process_*`: what Prometheus expects of every program, read from /proc (proc(5)) when it asks.

use std::fmt;

use procfs::process::{LimitValue, Process as Own};
use procfs::{ProcResult, WithCurrentSystemInfo as _};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::watched::{counter, gauge};

/// This process.
#[derive(Debug)]
pub(super) struct Process;

#[derive(Debug)]
struct Seen {
    cpu_ticks: u64,
    resident_bytes: u64,
    open_files: usize,
    most_files: Option<u64>,
}

fn look() -> ProcResult<Seen> {
    let own = Own::myself()?;
    let stat = own.stat()?;
    let most_files = match own.limits()?.max_open_files.soft_limit {
        LimitValue::Value(most) => Some(most),
        LimitValue::Unlimited => None,
    };
    Ok(Seen {
        cpu_ticks: stat.utime + stat.stime,
        resident_bytes: stat.rss_bytes().get(),
        open_files: own.fd_count()?,
        most_files,
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "metrics are doubles; these are far below 2^53"
)]
impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        // A system that hides /proc has no such figures; the others still count.
        let Ok(seen) = look() else {
            return Ok(());
        };
        let to = &mut encoder;
        let cpu = seen.cpu_ticks as f64 / procfs::ticks_per_second() as f64;
        counter(
            to,
            "cpu_seconds",
            "Time on processors, user and system",
            cpu,
        )?;
        let resident = seen.resident_bytes as f64;
        gauge(to, "resident_memory_bytes", "Memory in use", resident)?;
        gauge(
            to,
            "open_fds",
            "Open file descriptors",
            seen.open_files as f64,
        )?;
        if let Some(most) = seen.most_files {
            gauge(to, "max_fds", "Most open file descriptors", most as f64)?;
        }
        Ok(())
    }
}
