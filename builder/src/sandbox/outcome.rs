//! How a process ended.

use std::path::PathBuf;
use std::time::Duration;

/// What is known once nothing of the run is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The first process's exit status; 128 + n if signal n ended it. None if it was stopped from outside.
    pub exit: Option<u8>,
    /// Why it ended.
    pub reason: Reason,
    /// What it used.
    pub usage: Usage,
    /// Mount points that were made for this run and could not be removed from the root again, as paths in it: the
    /// process put something into them. What was mounted on them left nothing there.
    pub left_behind: Vec<PathBuf>,
}

impl Outcome {
    /// Whether the process did what it was asked to.
    pub fn succeeded(&self) -> bool {
        self.reason == Reason::Succeeded
    }
}

/// What [`Reason::DiskUnmeasured`] means, and how to mend it.
pub const UNMEASURED: &str = "open files were under way between sockets for seconds, or too many were open or mapped, where nobody can \
     measure them: that counts as more than the limit of the disk; let the program receive what is sent to it, or hold fewer";

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Exit status 0.
    Succeeded,
    /// Another exit status, with no limit to blame.
    Failed,
    /// It failed and the kernel had killed at least one of its processes for memory.
    OutOfMemory,
    /// It failed and the kernel had refused it processes or threads.
    TooManyProcesses,
    /// Its files grew beyond the limit, and it was stopped.
    DiskFull,
    /// It was stopped because some of its files were where nobody can measure them: see [`UNMEASURED`].
    DiskUnmeasured,
    /// It did not end in time, and was stopped.
    TimedOut,
    /// Whoever started it did not want it any more.
    Cancelled,
}

/// What a run used. Zero where the machine does not count it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// From start to end.
    pub wall: Duration,
    /// Processor time of all its processes.
    pub cpu: Duration,
    /// The most memory it held, in bytes, page cache included.
    pub memory: u64,
    /// How many of its processes the kernel killed for memory.
    pub memory_kills: u64,
    /// How often the kernel refused it a process or thread.
    pub process_refusals: u64,
    /// By how much its writable folders grew, in bytes.
    pub disk: u64,
    /// Bytes that it wrote to its outputs.
    pub output: u64,
    /// Bytes of those that were beyond the limit and dropped.
    pub output_dropped: u64,
    /// Bytes of those that were of a raw standard output.
    pub raw_dropped: u64,
}
