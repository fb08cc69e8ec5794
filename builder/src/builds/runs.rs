//! Runs: looked at, cancelled, removed.

use std::fmt;
use std::io::ErrorKind;
use std::num::ParseIntError;
use std::str::FromStr;
use std::time::SystemTime;

use super::brief::Brief;
use super::definitions::millis;
use super::live::Why;
use super::log::{Follow, LogReader, folder};
use super::queue::{RunId, Wait};
use super::record::{Page, PageOf, Recorded};
use super::submit::id;
use super::{Builds, BuildsError};
use crate::records::{Run, State, StateKind};

/// Which runs of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunsOf {
    /// Those of this build; `None`: all, also those without one.
    pub build: Option<String>,
    /// Those that stand so.
    pub state: Option<StateKind>,
    /// Those older than this one.
    pub before: Option<Age>,
    /// At most so many; what is above [`PageOf::MAX`] counts as that, 0 as 100.
    pub limit: usize,
}

/// Where a run stands among others: by when it was asked for, and among those of the same millisecond by number and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Age {
    at: u64,
    number: u64,
    name: String,
}

impl Age {
    /// Of a run.
    pub fn of(run: &Run) -> Self {
        Self::named(run.asked, &run.metadata.name)
    }

    pub(super) fn named(at: u64, name: &str) -> Self {
        let number = name.rsplit_once('-').map(|(_, number)| number.parse());
        Self {
            at,
            number: number.and_then(Result::ok).unwrap_or(0),
            name: name.to_owned(),
        }
    }
}

/// As [`FromStr`] reads it.
impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.at, self.name)
    }
}

impl FromStr for Age {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        let (at, name) = text.split_once('.').unwrap_or((text, ""));
        Ok(Self::named(at.parse()?, name))
    }
}

impl Builds {
    /// A run.
    pub async fn run(&self, namespace: &str, name: &str) -> Result<Recorded<Run>, BuildsError> {
        self.store().get(namespace, name).await
    }

    /// Runs of a namespace, the newest first. [`BuildsError::NotFound`] if they are to be those of a build that is not there.
    pub async fn runs(&self, namespace: &str, which: &RunsOf) -> Result<Page<Run>, BuildsError> {
        let most = match which.limit {
            0 => 100,
            limit => limit.min(PageOf::MAX),
        };
        let build = which.build.as_deref();
        let may_be = |run: &Brief| {
            build.is_none_or(|build| run.is_of(build))
                && which.state.is_none_or(|state| state == run.state)
                && which.before.as_ref().is_none_or(|at| run.age() < *at)
        };
        let prefix = build.map(prefix).unwrap_or_default();
        // As it is by now.
        let is_wanted = |run: &Run| may_be(&Brief::of(run));
        let mut items = self
            .newest_named(namespace, &prefix, most + 1, may_be, is_wanted)
            .await?;
        let more = items.len() > most;
        items.truncate(most);
        if let (true, Some(build)) = (items.is_empty(), build) {
            // Nothing of what is not there is not nothing of what is.
            self.build(namespace, build).await?;
        }
        Ok(Page { items, more })
    }

    /// Of a build's runs, or of those without a build, that `is_wanted` takes, the newest, the newest first. Only those that
    /// `may_be` it by their briefs are read.
    pub(super) async fn newest(
        &self,
        namespace: &str,
        build: Option<&str>,
        most: usize,
        may_be: impl Fn(&Brief) -> bool,
        is_wanted: impl Fn(&Run) -> bool,
    ) -> Result<Vec<Recorded<Run>>, BuildsError> {
        let may_be = |run: &Brief| run.build.as_deref() == build && may_be(run);
        let prefix = build.map(prefix).unwrap_or_default();
        self.newest_named(namespace, &prefix, most, may_be, is_wanted)
            .await
    }

    /// The same of runs whose names begin with `prefix`.
    async fn newest_named(
        &self,
        namespace: &str,
        prefix: &str,
        most: usize,
        may_be: impl Fn(&Brief) -> bool,
        is_wanted: impl Fn(&Run) -> bool,
    ) -> Result<Vec<Recorded<Run>>, BuildsError> {
        let mut ages = Vec::new();
        let look = |run: Brief| {
            ages.extend(may_be(&run).then(|| run.age()));
        };
        self.store().look(namespace, prefix, look).await?;
        ages.sort_unstable();
        let mut newest = Vec::new();
        while let (true, Some(age)) = (newest.len() < most, ages.pop()) {
            match self.store().find::<Run>(namespace, &age.name).await {
                Ok(run) => newest.extend(run.filter(|run| is_wanted(&run.value))),
                Err(BuildsError::Unreadable { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(newest)
    }

    /// Whether something holds for every run of a build: by when it was asked for, if it has ended, or by the run.
    pub(crate) async fn holds_for_all(
        &self,
        namespace: &str,
        build: &str,
        old: SystemTime,
        holds: impl Fn(&Run) -> bool,
    ) -> Result<bool, BuildsError> {
        let may_not = |run: &Brief| !run.has_ended() || run.asked > millis(old);
        let does_not = |run: &Run| !holds(run);
        let found = self.newest(namespace, Some(build), 1, may_not, does_not);
        Ok(found.await?.is_empty())
    }

    /// Why a run waits; `None` if it does not.
    pub fn wait_of(&self, run: &Run) -> Option<Wait> {
        match run.state {
            State::Queued => self.queue().wait(&id(run)),
            _ => None,
        }
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
                        self.figures().ended(&run.value);
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

/// The number in a run's name.
pub(super) fn number(run: &Run) -> u64 {
    let name = run.metadata.name.rsplit_once('-');
    name.and_then(|(_, number)| number.parse().ok())
        .unwrap_or(0)
}
