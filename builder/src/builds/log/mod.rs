//! Logs of runs: written while they run, followed live, read after the fact.
//!
//! A run's log is a folder of two files. `log` is a row of independent zstd frames (RFC 8878), each with its content's
//! length and checksum, written whole at least each second that something is said, and at each new phase: what a killed
//! server leaves ends with a whole frame or with a torn one, which nobody reads and the next writer cuts off. `phases` has
//! one line of JSON for each phase, with the offset of its beginning. An offset counts bytes of text, not of the file; readers
//! skip frames by their headers.

mod files;
mod follow;
mod line;
mod read;
mod tail;
mod write;

#[cfg(test)]
mod tests;

pub use follow::Follow;
pub(super) use follow::Written;
pub use line::{Entry, LogLine, PhaseAt};
pub use read::LogReader;
pub(super) use read::READERS;
pub(super) use write::LogWriter;

use std::path::{Path, PathBuf};

use crate::records::Run;

/// The folder of a run's log. It is called by what no other run has: names come again.
pub(super) fn folder(logs: &Path, run: &Run) -> PathBuf {
    logs.join(&run.metadata.namespace).join(&run.uid)
}
