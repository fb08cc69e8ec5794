//! The last of many lines.

use std::collections::VecDeque;

use super::line::Entry;
use crate::driver::Phase;

/// How many bytes are kept of lines of standard output, and of all others: much output drops no error and no note.
const TAIL: usize = 128 << 10;

/// A line as it is written.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) at: u64,
    /// The phase that it begins.
    pub(super) phase: Option<Phase>,
    is_output: bool,
    pub(super) text: String,
}

impl Line {
    pub(super) fn of(at: u64, entry: &Entry) -> Self {
        let phase = match entry {
            Entry::Phase(phase) => Some(*phase),
            _ => None,
        };
        Self {
            at,
            phase,
            is_output: matches!(entry, Entry::Out(_)),
            text: entry.encode(at),
        }
    }
}

/// The last lines of those that cannot be written, in their order.
#[derive(Debug, Default)]
pub(super) struct Tail {
    output: Lines,
    others: Lines,
    /// How many lines came.
    came: u64,
    /// How many bytes of others came before them.
    pub(super) left_out: u64,
}

/// Lines with their places among all.
#[derive(Debug, Default)]
struct Lines {
    lines: VecDeque<(u64, Line)>,
    bytes: usize,
}

impl Tail {
    /// Keeps a line until others come that are nearer to the end. Phases are few, and stay.
    pub(super) fn push(&mut self, line: Line) {
        self.came += 1;
        let place = self.came;
        let lines = self.of(line.is_output);
        lines.bytes += line.text.len();
        lines.lines.push_back((place, line));
        let mut left_out = 0;
        while lines.bytes > TAIL {
            let oldest = lines
                .lines
                .iter()
                .position(|(_, line)| line.phase.is_none());
            let Some((_, gone)) = oldest.and_then(|oldest| lines.lines.remove(oldest)) else {
                break;
            };
            lines.bytes -= gone.text.len();
            left_out += gone.text.len() as u64;
        }
        self.left_out += left_out;
    }

    pub(super) fn first(&self) -> Option<&Line> {
        let (_, line) = self.lines_of_first().lines.front()?;
        Some(line)
    }

    /// The first line with its place, for [`Tail::put_back`].
    pub(super) fn take_first(&mut self) -> Option<(u64, Line)> {
        let is_output = self.first()?.is_output;
        let lines = self.of(is_output);
        let (place, first) = lines.lines.pop_front()?;
        lines.bytes -= first.text.len();
        Some((place, first))
    }

    pub(super) fn put_back(&mut self, place: u64, first: Line) {
        let lines = self.of(first.is_output);
        lines.bytes += first.text.len();
        lines.lines.push_front((place, first));
    }

    fn lines_of_first(&self) -> &Lines {
        let place = |lines: &Lines| lines.lines.front().map_or(u64::MAX, |(place, _)| *place);
        if place(&self.output) < place(&self.others) {
            &self.output
        } else {
            &self.others
        }
    }

    fn of(&mut self, is_output: bool) -> &mut Lines {
        if is_output {
            &mut self.output
        } else {
            &mut self.others
        }
    }
}
