//! What a run may use up, and how long it may take.

use std::fmt::Display;
use std::time::Duration;

use crate::builds::{Invalid, Timeout};
use crate::plan::Limits;

/// Below these no program of a build gets anywhere: what was meant was another unit.
const LEAST: Limits = Limits {
    memory_bytes: Some(16 << 20),
    cpu_millis: Some(10),
    pids: Some(8),
    disk_bytes: Some(1 << 20),
    seconds: Some(1),
};

/// What a run may use up: what the spec says, else what is usual, else the most.
pub(super) fn limits(asked: Limits, usual: Limits, most: Limits) -> Result<Limits, Invalid> {
    fn one<T: Copy + Ord + Display>(
        field: &str,
        least: Option<T>,
        asked: Option<T>,
        usual: Option<T>,
        most: Option<T>,
    ) -> Result<Option<T>, Invalid> {
        let refused = |message| Err(Invalid::new(format!("spec.limits.{field}"), message));
        match (asked, least, most) {
            (Some(asked), _, Some(most)) if asked > most => refused(format!(
                "{asked} is more than this server gives, which is {most}"
            )),
            (Some(asked), Some(least), _) if asked < least => refused(format!(
                "{asked} is too little for any build: at least {least}"
            )),
            _ => Ok(asked.or(usual).or(most)),
        }
    }
    Ok(Limits {
        memory_bytes: one(
            "memoryBytes",
            LEAST.memory_bytes,
            asked.memory_bytes,
            usual.memory_bytes,
            most.memory_bytes,
        )?,
        cpu_millis: one(
            "cpuMillis",
            LEAST.cpu_millis,
            asked.cpu_millis,
            usual.cpu_millis,
            most.cpu_millis,
        )?,
        pids: one("pids", LEAST.pids, asked.pids, usual.pids, most.pids)?,
        disk_bytes: one(
            "diskBytes",
            LEAST.disk_bytes,
            asked.disk_bytes,
            usual.disk_bytes,
            most.disk_bytes,
        )?,
        seconds: one(
            "seconds",
            LEAST.seconds,
            asked.seconds,
            usual.seconds,
            most.seconds,
        )?,
    })
}

/// Refuses what only control groups enforce.
pub(super) fn unenforced(asked: Limits) -> Result<(), Invalid> {
    let asked = [
        ("memoryBytes", asked.memory_bytes.is_some()),
        ("cpuMillis", asked.cpu_millis.is_some()),
        ("pids", asked.pids.is_some()),
    ];
    let Some((field, _)) = asked.into_iter().find(|(_, is_asked)| *is_asked) else {
        return Ok(());
    };
    let message = "this server cannot enforce it (slipway build doctor tells whoever runs the server why): leave it out";
    Err(Invalid::new(format!("spec.limits.{field}"), message))
}

pub(super) fn timeout(which: &str, asked: Option<u64>, may: Timeout) -> Result<Duration, Invalid> {
    let Some(asked) = asked else {
        return Ok(may.usual);
    };
    let asked = Duration::from_secs(asked);
    if asked.is_zero() || asked > may.most {
        let message = format!("at least 1 second and at most {}", may.most.as_secs());
        return Err(Invalid::new(format!("spec.timeouts.{which}"), message));
    }
    Ok(asked)
}
