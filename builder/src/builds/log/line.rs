//! A line of a log, as a value and as text.

use serde::{Deserialize, Serialize};

use crate::driver::{Event, Phase};
use crate::sandbox::Stream;

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Where the line after it begins: whoever gives it to [`crate::builds::Builds::follow`] goes on from there.
    pub next: u64,
    /// When it was written, in milliseconds since 1970.
    pub at: u64,
    /// What it is.
    pub entry: Entry,
}

/// What a line of a log is. No text in it has control characters.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseAt {
    /// Which.
    pub phase: Phase,
    /// When it began, in milliseconds since 1970.
    pub at: u64,
    /// Where its lines begin.
    pub offset: u64,
}

/// Longest text of a line; the sandbox cuts a program's lines far shorter.
const MAX_TEXT: usize = 32 << 10;

impl From<Event> for Entry {
    fn from(event: Event) -> Self {
        match event {
            Event::Phase(phase) => Self::Phase(phase),
            Event::Note(text) => Self::Note(text),
            Event::Line(line) => match line.stream {
                Stream::Out => Self::Out(line.text),
                Stream::Err => Self::Err(line.text),
                Stream::Sandbox => Self::Note(line.text),
            },
        }
    }
}

impl Entry {
    /// The line's text in the log: time, kind, text, separated by one space each.
    pub(super) fn encode(&self, at: u64) -> String {
        let (kind, text) = match self {
            Self::Phase(phase) => ('p', phase_name(*phase)),
            Self::Out(text) => ('o', text.clone()),
            Self::Err(text) => ('e', text.clone()),
            Self::Note(text) => ('n', text.clone()),
        };
        let mut line = format!("{at} {kind} ");
        for (length, c) in text.char_indices() {
            if length >= MAX_TEXT {
                line.push('…');
                break;
            }
            line.push(if c.is_control() { ' ' } else { c });
        }
        line.push('\n');
        line
    }

    /// What [`Entry::encode`] wrote, without the line's end; `None` if it did not.
    pub(super) fn decode(line: &str) -> Option<(u64, Self)> {
        let (at, rest) = line.split_once(' ')?;
        let (kind, text) = rest.split_once(' ')?;
        let entry = match kind {
            "p" => Self::Phase(serde_json::from_value(text.into()).ok()?),
            "o" => Self::Out(text.to_owned()),
            "e" => Self::Err(text.to_owned()),
            "n" => Self::Note(text.to_owned()),
            _ => return None,
        };
        Some((at.parse().ok()?, entry))
    }
}

fn phase_name(phase: Phase) -> String {
    let name = serde_json::to_value(phase).ok();
    let name = name.and_then(|name| name.as_str().map(str::to_owned));
    name.unwrap_or_default()
}
