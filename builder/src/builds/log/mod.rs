//! Logs of runs: written while they run, followed live, read after the fact.

use super::BuildsError;
use crate::driver::Phase;

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Where the line after it begins: give it to [`super::Builds::follow`] to go on from there.
    pub next: u64,
    /// When it was written, in milliseconds since 1970.
    pub at: u64,
    /// What it is.
    pub entry: Entry,
}

/// What a line of a log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A part of the run begins.
    Phase(Phase),
    /// A line of a program's standard output.
    Out(String),
    /// A line of a program's standard error.
    Err(String),
    /// A line of the builder's own.
    Note(String),
}

/// A part of a run in its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhaseAt {
    /// Which.
    pub phase: Phase,
    /// When it began, in milliseconds since 1970.
    pub at: u64,
    /// Where its lines begin.
    pub offset: u64,
}

/// Reads a log as far as it is written. Blocks: for threads that may.
#[derive(Debug)]
pub struct LogReader(());

impl LogReader {
    /// The phases that have begun.
    pub fn phases(&self) -> &[PhaseAt] {
        &[]
    }

    /// Goes to an offset; one that is in a line counts as that line's beginning.
    pub fn seek(&mut self, offset: u64) -> Result<(), BuildsError> {
        let _ = offset;
        Ok(())
    }

    /// Goes to the beginning of a phase, the last one of its kind, and says where it ends; `None` if it has not begun, and no end if it is the last.
    pub fn seek_phase(&mut self, phase: Phase) -> Result<Option<Option<u64>>, BuildsError> {
        let _ = phase;
        Ok(None)
    }

    /// The next lines, some hundreds at most; none if there are no more now.
    pub fn read(&mut self) -> Result<Vec<LogLine>, BuildsError> {
        Ok(Vec::new())
    }
}

/// Follows the log of a run until the run has ended.
#[derive(Debug)]
pub struct Follow(());

impl Follow {
    /// The next lines, waiting for them; `None` when the run has ended and all was said. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Option<Vec<LogLine>>, BuildsError> {
        Ok(None)
    }
}
