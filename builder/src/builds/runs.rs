//! Runs: looked at, cancelled, removed.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::time::SystemTime;

use super::definitions::millis;
use super::live::Why;
use super::log::{Follow, LogReader, folder};
use super::queue::RunId;
use super::record::{Page, PageOf, Recorded};
use super::submit::id;
use super::{Builds, BuildsError};
use crate::records::{Run, State};

impl Builds {
    /// A run.
    pub async fn run(&self, namespace: &str, name: &str) -> Result<Recorded<Run>, BuildsError> {
        self.store().get(namespace, name).await
    }

    /// The runs of a namespace, in the order of their names.
    pub async fn runs(&self, namespace: &str, page: &PageOf) -> Result<Page<Run>, BuildsError> {
        self.store().page(namespace, page).await
    }

    /// The runs of a build, the newest first: those with a number below `before`, at most `limit` and [`PageOf::MAX`].
    pub async fn runs_of(
        &self,
        namespace: &str,
        build: &str,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Recorded<Run>>, BuildsError> {
        let most = limit.min(PageOf::MAX);
        let is_before = |run: &Run| before.is_none_or(|before| number(run) < before);
        let runs = self.newest(namespace, Some(build), most, is_before).await?;
        if runs.is_empty() {
            // Nothing of what is not there is not nothing of what is.
            self.build(namespace, build).await?;
        }
        Ok(runs)
    }

    /// Of a build's runs, or of those without a build, that `is_wanted` takes, the newest, the newest first. No more than these are
    /// in memory.
    pub(super) async fn newest(
        &self,
        namespace: &str,
        build: Option<&str>,
        most: usize,
        is_wanted: impl Fn(&Run) -> bool,
    ) -> Result<Vec<Recorded<Run>>, BuildsError> {
        let mut newest = BTreeMap::new();
        let look = |run: Recorded<Run>| {
            if run.value.build.as_deref() == build && is_wanted(&run.value) {
                let name = run.value.metadata.name.clone();
                newest.insert((run.value.asked, number(&run.value), name), run);
                if newest.len() > most {
                    newest.pop_first();
                }
            }
            ControlFlow::Continue(())
        };
        let prefix = build.map(prefix).unwrap_or_default();
        self.store().look(namespace, &prefix, look).await?;
        Ok(newest.into_values().rev().collect())
    }

    /// Whether something holds for every run of a build.
    pub(crate) async fn holds_for_all(
        &self,
        namespace: &str,
        build: &str,
        holds: impl Fn(&Run) -> bool,
    ) -> Result<bool, BuildsError> {
        let mut all = true;
        let look = |run: Recorded<Run>| {
            all = !is_of(&run.value, build) || holds(&run.value);
            if all {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        };
        self.store().look(namespace, &prefix(build), look).await?;
        Ok(all)
    }

    /// Ends a run: one that waits at once, one at work as soon as its programs are killed, unless it is being published
    /// already. `by` is a user's name or what wants it. One that has ended stays as it is.
    pub async fn cancel(
        &self,
        namespace: &str,
        name: &str,
        by: &str,
        now: SystemTime,
    ) -> Result<Recorded<Run>, BuildsError> {
        loop {
            let mut run = self.run(namespace, name).await?;
            match run.value.state {
                State::Queued => {
                    run.value.state = State::Cancelled { by: by.to_owned() };
                    run.value.ended = Some(millis(now));
                }
                State::Running => {
                    if let Some(first) = &run.value.cancel {
                        self.stop(&id(&run.value), Why::Cancelled(first.clone()));
                        return Ok(run);
                    }
                    run.value.cancel = Some(by.to_owned());
                }
                _ => return Ok(run),
            }
            match self.store().replace(run).await {
                Err(BuildsError::Changed { .. }) => {}
                Err(error) => return Err(error),
                Ok(run) => {
                    let id = id(&run.value);
                    if run.value.state.has_ended() {
                        self.queue().ended(&id);
                        self.live().end(&id);
                        self.wake();
                    } else {
                        self.stop(&id, Why::Cancelled(by.to_owned()));
                    }
                    return Ok(run);
                }
            }
        }
    }

    fn stop(&self, id: &RunId, why: Why) {
        if let Some(open) = self.live().get(id) {
            open.stop.now(why);
        }
    }

    /// Removes a run that has ended, with its log; its image stays. [`BuildsError::Busy`] if it has not ended.
    pub async fn remove_run(&self, namespace: &str, name: &str) -> Result<(), BuildsError> {
        match self.store().get_to_remove(namespace, name).await? {
            Some(run) => self.remove_ended(&run).await,
            None => Ok(()),
        }
    }

    /// The log of a run, as far as it is written. Reading it blocks.
    pub async fn log(&self, namespace: &str, name: &str) -> Result<LogReader, BuildsError> {
        let run = self.run(namespace, name).await?;
        Ok(self.reader(&run.value))
    }

    /// The log of a run from an offset ([`super::log::LogLine::next`]; 0 is its beginning) until the run has ended. It may
    /// still wait.
    pub async fn follow(
        &self,
        namespace: &str,
        name: &str,
        from: u64,
    ) -> Result<Follow, BuildsError> {
        let id = RunId {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        let mut open = self.live().get(&id);
        if open.is_none() && !self.run(namespace, name).await?.value.state.has_ended() {
            // One of an earlier process, which is not taken up yet.
            open = Some(self.live().open(&id));
        }
        // Looked at last: one that has ended by now has nobody who says so later.
        let run = self.run(namespace, name).await?.value;
        if run.state.has_ended() {
            self.live().end(&id);
        }
        let written = open.map(|open| open.written.subscribe());
        Ok(Follow::new(self.reader(&run), from, written))
    }

    fn reader(&self, run: &Run) -> LogReader {
        LogReader::new(folder(&self.settings().logs, run), self.log_turns())
    }

    /// The record first: a log without one is swept.
    pub(super) async fn remove_ended(&self, run: &Recorded<Run>) -> Result<(), BuildsError> {
        if !run.value.state.has_ended() {
            let name = &run.value.metadata.name;
            let message = format!("{name} has not ended: cancel it first");
            return Err(BuildsError::Busy(message));
        }
        self.store().remove(run).await?;
        let log = folder(&self.settings().logs, &run.value);
        match tokio::fs::remove_dir_all(&log).await {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(log = %log.display(), %error, "a log was not removed");
            }
            _ => {}
        }
        Ok(())
    }
}

/// How the names of a build's runs begin, and of others: `app-x-1` begins with `app-` too.
pub(super) fn prefix(build: &str) -> String {
    format!("{build}-")
}

/// Whether a run is one of a build.
pub(super) fn is_of(run: &Run, build: &str) -> bool {
    run.build.as_deref() == Some(build)
}

/// The number in a run's name.
pub(super) fn number(run: &Run) -> u64 {
    let name = run.metadata.name.rsplit_once('-');
    name.and_then(|(_, number)| number.parse().ok())
        .unwrap_or(0)
}
