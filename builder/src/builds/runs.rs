//! Runs: looked at, cancelled, removed.

use std::io::ErrorKind;
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

    /// The runs of a build, the newest first: those with a number below `before`, at most `limit`. None if there is no such
    /// build.
    pub async fn runs_of(
        &self,
        namespace: &str,
        build: &str,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Recorded<Run>>, BuildsError> {
        let mut runs = self.all_runs_of(namespace, build).await?;
        runs.retain(|run| before.is_none_or(|before| number(&run.value) < before));
        runs.truncate(limit);
        Ok(runs)
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
        let run = self.run(namespace, name).await?;
        self.remove_ended(&run).await
    }

    /// The log of a run, as far as it is written. Reading it blocks.
    pub async fn log(&self, namespace: &str, name: &str) -> Result<LogReader, BuildsError> {
        self.run(namespace, name).await?;
        Ok(self.reader(namespace, name))
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
        if self.run(namespace, name).await?.value.state.has_ended() {
            self.live().end(&id);
        }
        let written = open.map(|open| open.written.subscribe());
        Ok(Follow::new(self.reader(namespace, name), from, written))
    }

    fn reader(&self, namespace: &str, name: &str) -> LogReader {
        LogReader::new(folder(&self.settings().logs, namespace, name))
    }

    /// All runs of a build, the newest first.
    pub(super) async fn all_runs_of(
        &self,
        namespace: &str,
        build: &str,
    ) -> Result<Vec<Recorded<Run>>, BuildsError> {
        let prefix = format!("{build}-");
        let mut runs = Vec::new();
        let look = |run: Recorded<Run>| {
            // `app-x-1` begins with `app-` too.
            if run.value.build.as_deref() == Some(build) {
                runs.push(run);
            }
        };
        self.store().walk(namespace, &prefix, look).await?;
        runs.sort_by_key(|run| std::cmp::Reverse(number(&run.value)));
        Ok(runs)
    }

    /// The runs of a namespace that are of no build and have ended, the newest first. They are few: none is kept for long.
    pub(super) async fn runs_alone(
        &self,
        namespace: &str,
    ) -> Result<Vec<Recorded<Run>>, BuildsError> {
        let mut runs = Vec::new();
        let look = |run: Recorded<Run>| {
            if run.value.build.is_none() && run.value.state.has_ended() {
                runs.push(run);
            }
        };
        self.store().walk(namespace, "", look).await?;
        runs.sort_by_key(|run| std::cmp::Reverse(run.value.ended));
        Ok(runs)
    }

    /// The record first: a log without one is swept.
    pub(super) async fn remove_ended(&self, run: &Recorded<Run>) -> Result<(), BuildsError> {
        let place = &run.value.metadata;
        if !run.value.state.has_ended() {
            let message = format!("{} has not ended: cancel it first", place.name);
            return Err(BuildsError::Busy(message));
        }
        self.store().remove(run).await?;
        let log = folder(&self.settings().logs, &place.namespace, &place.name);
        match tokio::fs::remove_dir_all(&log).await {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(log = %log.display(), %error, "a log was not removed");
            }
            _ => {}
        }
        Ok(())
    }
}

/// The number in a run's name.
pub(super) fn number(run: &Run) -> u64 {
    let name = run.metadata.name.rsplit_once('-');
    name.and_then(|(_, number)| number.parse().ok())
        .unwrap_or(0)
}
