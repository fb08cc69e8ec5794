//! When to look at what again, and how long to wait after what went wrong.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::observed::Duty;

#[cfg(test)]
mod tests;

/// The first and the longest wait after a failure; it doubles in between.
const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(120);
/// So many steps within [`WINDOW`] are usual. What needs more is being undone by somebody, and is done again ever later.
const USUAL: u32 = 20;
const WINDOW: Duration = Duration::from_secs(600);

/// Duties with the times when they are due. Each is in it once, and never due while it is being worked on.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    due: BTreeSet<(Instant, Duty)>,
    entries: HashMap<Duty, Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    due: Option<Instant>,
    not_before: Option<Instant>,
    is_running: bool,
    window: Option<Instant>,
    steps: u32,
    failures: u32,
}

impl Agenda {
    /// Makes a duty due at `when`, unless it is due earlier.
    pub(super) fn at(&mut self, duty: &Duty, when: Instant) {
        let entry = self.entries.entry(duty.clone()).or_default();
        let when = entry.not_before.map_or(when, |before| when.max(before));
        match entry.due {
            Some(due) if due <= when => return,
            Some(due) => {
                self.due.remove(&(due, duty.clone()));
            }
            None => {}
        }
        entry.due = Some(when);
        if !entry.is_running {
            self.due.insert((when, duty.clone()));
        }
    }

    /// When the next is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(when, _)| *when)
    }

    /// Takes out a duty that is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Duty> {
        let due = self.due.first().is_some_and(|(when, _)| *when <= now);
        let (_, duty) = due.then(|| self.due.pop_first())??;
        if let Some(entry) = self.entries.get_mut(&duty) {
            entry.due = None;
        }
        Some(duty)
    }

    /// A step for this duty begins.
    pub(super) fn begin(&mut self, duty: &Duty, now: Instant) {
        let entry = self.entries.entry(duty.clone()).or_default();
        entry.is_running = true;
        let is_over = |begun| now.duration_since(begun) > WINDOW;
        if entry.window.is_none_or(is_over) {
            entry.window = Some(now);
            entry.steps = 0;
        }
        entry.steps += 1;
        if let Some(unusual) = entry.steps.checked_sub(USUAL) {
            entry.not_before = Some(now + wait(unusual));
        }
    }

    /// It has ended. What failed is due after a while, what succeeded at once: to see what comes next.
    pub(super) fn end(&mut self, duty: &Duty, now: Instant, failed: bool) {
        let Some(entry) = self.entries.get_mut(duty) else {
            return;
        };
        entry.is_running = false;
        if failed {
            entry.failures = entry.failures.saturating_add(1);
            let then = now + wait(entry.failures);
            entry.not_before = entry.not_before.max(Some(then));
        } else {
            entry.failures = 0;
        }
        // It may have become due meanwhile.
        if let Some(due) = entry.due.take() {
            self.due.remove(&(due, duty.clone()));
        }
        self.at(duty, now);
    }

    /// There is nothing left to remember about it.
    pub(super) fn forget(&mut self, duty: &Duty) {
        if self
            .entries
            .get(duty)
            .is_some_and(|entry| !entry.is_running)
            && let Some(due) = self.entries.remove(duty).and_then(|entry| entry.due)
        {
            self.due.remove(&(due, duty.clone()));
        }
    }
}

/// Half to all of the doubled wait, so that what failed together does not come again together.
fn wait(times: u32) -> Duration {
    let doubled = FIRST.saturating_mul(1u32.checked_shl(times).unwrap_or(u32::MAX));
    doubled.min(LONGEST).mul_f64(0.5 + fastrand::f64() / 2.0)
}
