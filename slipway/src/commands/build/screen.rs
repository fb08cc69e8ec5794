//! What a person sees of a run while it goes on: its parts with how long they took, and the lines below them. On standard
//! error, since standard output is the result's.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, SystemTime};

use humantime::format_rfc3339_millis;
use indicatif::ProgressBar;

use super::answers::{clean, human};

const TICK: Duration = Duration::from_millis(120);

/// The screen of one run.
pub(super) struct Screen {
    /// The part at work; hidden where standard error is no terminal.
    bar: ProgressBar,
    is_terminal: bool,
    /// The part at work, and when it began (milliseconds since 1970).
    phase: Option<(String, u64)>,
    /// Whether the time is before each line.
    pub(super) has_times: bool,
    /// The last of what the builder said.
    noted: String,
}

impl Screen {
    pub(super) fn new() -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let bar = if is_terminal {
            ProgressBar::new_spinner()
        } else {
            ProgressBar::hidden()
        };
        bar.enable_steady_tick(TICK);
        Self {
            bar,
            is_terminal,
            phase: None,
            has_times: false,
            noted: String::new(),
        }
    }

    /// What is waited for before anything is at work.
    pub(super) fn wait(&self, text: String) {
        self.bar.set_message(text);
    }

    /// The same, a line of its own where nothing moves.
    pub(super) fn waiting(&self, text: &str) {
        if self.is_terminal {
            self.wait(clean(text));
        } else {
            self.line(&clean(text));
        }
    }

    /// A part begins, and so the one before it has ended.
    pub(super) fn phase(&mut self, name: &str, at: u64) {
        self.end_phase(at);
        self.line(&self.bold(&format!("==> {}", clean(name))));
        self.bar.reset_elapsed();
        self.bar.set_message(clean(name));
        self.phase = Some((clean(name), at));
    }

    /// The part at work has ended.
    pub(super) fn end_phase(&mut self, at: u64) {
        if let Some((name, began)) = self.phase.take() {
            let took = human(Duration::from_millis(at.saturating_sub(began)));
            self.line(&self.dim(&format!("    {name}: {took}")));
        }
    }

    /// A line of a program.
    pub(super) fn output(&self, text: &str, said: u64) {
        self.line(&format!("    {}{}", self.time(said), clean_line(text)));
    }

    /// What the builder says.
    pub(super) fn note(&mut self, text: &str, said: u64) {
        text.clone_into(&mut self.noted);
        self.line(&format!("  * {}{}", self.time(said), clean_line(text)));
    }

    /// Whether this was said last.
    pub(super) fn has_noted(&self, text: &str) -> bool {
        self.noted == text
    }

    /// When a line was said, as the log has it, if that is wanted.
    fn time(&self, said: u64) -> String {
        let mut text = String::new();
        let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(said));
        if let (true, Some(at)) = (self.has_times, at)
            && write!(text, "{} ", format_rfc3339_millis(at)).is_err()
        {
            // After the year 9999.
            text.clear();
        }
        text
    }

    /// A line as it is.
    pub(super) fn line(&self, text: &str) {
        if self.is_terminal {
            self.bar.println(text);
        } else {
            // Where standard error is closed there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }

    /// Clears what moves.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }

    fn bold(&self, text: &str) -> String {
        self.styled("1", text)
    }

    fn dim(&self, text: &str) -> String {
        self.styled("2", text)
    }

    fn styled(&self, code: &str, text: &str) -> String {
        if self.is_terminal && std::env::var_os("NO_COLOR").is_none() {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Tabs may stay; what would move the terminal may not.
pub(super) fn clean_line(text: &str) -> String {
    text.chars()
        .filter(|char| *char == '\t' || !char.is_control())
        .collect()
}
