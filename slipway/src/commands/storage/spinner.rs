//! How far a long command is, for those who watch it.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::ProgressBar;

const TICK: Duration = Duration::from_millis(120);

/// A line on standard error that changes; nothing where that is no terminal. How much there is in
/// all is not known before the end, so there is no bar.
pub(super) struct Spinner(ProgressBar);

impl Spinner {
    pub(super) fn start() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new_spinner();
        bar.enable_steady_tick(TICK);
        Self(bar)
    }

    pub(super) fn say(&self, text: String) {
        self.0.set_message(text);
    }

    /// Clears the line.
    pub(super) fn stop(self) {
        self.0.finish_and_clear();
    }
}
