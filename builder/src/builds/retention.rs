//! Removing what is old: ended runs with their logs, logs without runs, events.

mod keep;

use std::collections::HashMap;
use std::fs::DirEntry;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

use super::brief::Brief;
use super::definitions::millis;
use super::runs::{Age, prefix};
use super::{Builds, BuildsError};
use crate::ledger::Kind;
use crate::records::{Build, Run, StateKind};
use keep::{Group, Keep};

/// How often everything is looked through.
const EVERY: Duration = Duration::from_secs(3600);

/// What decides whether an ended run is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Old {
    name: String,
    group: Group,
    asked: Age,
    /// In milliseconds since 1970.
    ended: Option<u64>,
    outcome: Outcome,
}

/// What is counted apart: a result makes room for newer results alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Outcome {
    Result,
    /// It has shown whether something reproduces.
    Check,
    Failure,
}

impl Outcome {
    fn of(run: &Brief) -> Self {
        match run.state {
            StateKind::Succeeded if run.has_result() => Self::Result,
            StateKind::Succeeded => Self::Check,
            _ => Self::Failure,
        }
    }

    fn has_succeeded(self) -> bool {
        self != Self::Failure
    }
}

impl Old {
    /// `None` if it has not ended.
    fn of(run: &Brief, hosts: &[String]) -> Option<Self> {
        run.has_ended().then(|| Self {
            name: run.name.clone(),
            group: Group::of(run, hosts),
            asked: run.age(),
            ended: run.ended,
            outcome: Outcome::of(run),
        })
    }
}

impl Builds {
    /// Looks everything through now and then, until `stop`.
    pub(super) async fn keep_tidy(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.tidy(SystemTime::now()).await {
                tracing::warn!(%error, "old runs are not removed now");
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Removes runs beyond what their builds keep, and old events, in all namespaces.
    pub async fn tidy(&self, now: SystemTime) -> Result<(), BuildsError> {
        let mut after: Option<String> = None;
        loop {
            let namespaces = self
                .store()
                .ledger()
                .namespaces(Kind::Run, after.as_deref(), 100)
                .await?;
            let Some(last) = namespaces.last() else {
                break;
            };
            after = Some(last.clone());
            for namespace in &namespaces {
                let mut groups: HashMap<Group, Vec<Old>> = HashMap::new();
                self.store().write_briefs(namespace).await?;
                for run in self.old(namespace, "", |_| true).await? {
                    groups.entry(run.group.clone()).or_default().push(run);
                }
                for (group, runs) in groups {
                    self.prune(namespace, &group, runs, now).await?;
                }
                self.prune_namespace(namespace).await?;
            }
        }
        self.tidy_events(now).await?;
        self.sweep_logs().await
    }

    /// The same for the runs that share places with one that has ended.
    pub(super) async fn tidy_after(&self, run: &Run) {
        let namespace = &run.metadata.namespace;
        let hosts = &self.settings().hosts;
        let group = Group::of(&Brief::of(run), hosts);
        let done = async {
            let prefix = group.build().map_or_else(String::new, prefix);
            let is_of = |run: &Old| run.group == group;
            let runs = self.old(namespace, &prefix, is_of).await?;
            self.prune(namespace, &group, runs, SystemTime::now())
                .await?;
            self.prune_namespace(namespace).await
        };
        if let Err(error) = done.await {
            tracing::warn!(%error, "old runs are not removed now");
        }
    }

    /// What decides about the ended runs of a namespace: no more of them is in memory.
    async fn old(
        &self,
        namespace: &str,
        prefix: &str,
        is_wanted: impl Fn(&Old) -> bool,
    ) -> Result<Vec<Old>, BuildsError> {
        let hosts = &self.settings().hosts;
        let mut all = Vec::new();
        let look = |run: Brief| {
            all.extend(Old::of(&run, hosts).filter(&is_wanted));
        };
        self.store().look(namespace, prefix, look).await?;
        Ok(all)
    }

    async fn prune(
        &self,
        namespace: &str,
        group: &Group,
        runs: Vec<Old>,
        now: SystemTime,
    ) -> Result<(), BuildsError> {
        let build = match group.build() {
            Some(build) => match self.store().find::<Build>(namespace, build).await {
                // What it keeps is not known.
                Err(BuildsError::Unreadable { .. }) => return Ok(()),
                found => found?,
            },
            None => None,
        };
        let asked = build.as_ref().map(|build| build.value.spec.retention);
        let (defaults, at_least) = (self.settings().retention, self.settings().kept_at_least);
        let keep = Keep::new(asked.unwrap_or_default(), defaults, at_least);
        let newest = build.and_then(|build| build.value.status.succeeded);
        for run in beyond(runs, keep, newest.as_deref(), millis(now)) {
            self.remove_old(namespace, &run).await?;
        }
        Ok(())
    }

    /// Removes runs beyond what a namespace may have, those that ended first, but of no build its newest success.
    async fn prune_namespace(&self, namespace: &str) -> Result<(), BuildsError> {
        let count = self.store().ledger().count(Kind::Run, namespace).await?;
        let mut surplus = count.saturating_sub(self.settings().quota.runs);
        if surplus == 0 {
            return Ok(());
        }
        let mut runs = self.old(namespace, "", |_| true).await?;
        runs.sort_unstable_by_key(|run| run.ended);
        for run in runs {
            if surplus == 0 {
                break;
            }
            if !self.is_newest(namespace, &run).await? {
                self.remove_old(namespace, &run).await?;
                surplus -= 1;
            }
        }
        Ok(())
    }

    /// Whether a run is its build's newest success.
    async fn is_newest(&self, namespace: &str, run: &Old) -> Result<bool, BuildsError> {
        let (true, Some(build)) = (run.outcome.has_succeeded(), run.group.build()) else {
            return Ok(false);
        };
        match self.store().find::<Build>(namespace, build).await {
            Err(BuildsError::Unreadable { .. }) => Ok(true),
            found => Ok(found?.is_some_and(|build| {
                build.value.status.succeeded.as_deref() == Some(run.name.as_str())
            })),
        }
    }

    async fn remove_old(&self, namespace: &str, run: &Old) -> Result<(), BuildsError> {
        let Some(run) = self.store().find::<Run>(namespace, &run.name).await? else {
            return Ok(());
        };
        match self.remove_ended(&run).await {
            Err(BuildsError::Changed { .. }) => Ok(()),
            other => other,
        }
    }

    /// Removes the logs of runs that are gone: the server ended between the one and the other.
    async fn sweep_logs(&self) -> Result<(), BuildsError> {
        let logs = self.settings().logs.clone();
        // Listed before the runs are: a run is in the ledger before it has a log.
        let listed = tokio::task::spawn_blocking(move || folders(&logs)).await;
        for (namespace, mut logs) in listed.unwrap_or_default() {
            let look = |run: Brief| {
                logs.remove(&run.uid);
            };
            if self.store().look(&namespace, "", look).await? > 0 {
                // Some may be those of runs whose records cannot be read.
                continue;
            }
            for log in logs.into_values() {
                if let Err(error) = tokio::fs::remove_dir_all(&log).await {
                    tracing::warn!(log = %log.display(), %error, "a log was not removed");
                }
            }
        }
        Ok(())
    }
}

/// The logs' folders by what their runs are called by, of each namespace.
fn folders(logs: &Path) -> Vec<(String, HashMap<String, PathBuf>)> {
    let below = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let named = |entry: DirEntry| Some((entry.file_name().into_string().ok()?, entry.path()));
        entries.filter_map(named).collect::<HashMap<_, _>>()
    };
    let namespaces = below(logs).into_iter();
    namespaces
        .map(|(namespace, folder)| (namespace, below(&folder)))
        .collect()
}

/// Of a group's runs those that are not kept. The newest one of a build that succeeded is.
fn beyond(mut runs: Vec<Old>, keep: Keep, newest: Option<&str>, now: u64) -> Vec<Old> {
    runs.sort_by(|one, other| other.asked.cmp(&one.asked));
    let mut counts = HashMap::new();
    runs.retain(|run| {
        let nth = counts.entry(run.outcome).or_insert(0);
        *nth += 1;
        let age = now.saturating_sub(run.ended.unwrap_or(now)) / 1000;
        let has_succeeded = run.outcome.has_succeeded();
        keep.is_over(has_succeeded, *nth, age) && Some(run.name.as_str()) != newest
    });
    runs
}

#[cfg(test)]
mod tests {
    use super::super::tests::run_record;
    use super::*;
    use crate::records::{Cause, OwnReason, Retention, State};

    fn record(number: u64, state: State) -> Run {
        let mut run = run_record("team", &format!("app-{number}"));
        run.asked = number;
        run.ended = Some(number * 1000);
        run.state = state;
        run
    }

    fn ended(number: u64, state: State) -> Option<Old> {
        Old::of(&Brief::of(&record(number, state)), &[])
    }

    fn check(number: u64) -> Option<Old> {
        let mut run = record(number, State::Succeeded);
        run.cause = Cause::Again {
            run: "app-1".to_owned(),
            same: true,
            by: "ann".to_owned(),
        };
        Old::of(&Brief::of(&run), &[])
    }

    fn failed() -> State {
        State::Failed {
            reason: OwnReason::TestFailed.into(),
            message: String::new(),
        }
    }

    fn names(runs: &[Old]) -> Vec<&str> {
        runs.iter().map(|run| run.name.as_str()).collect()
    }

    #[test]
    fn the_newest_of_each_kind_are_kept() {
        let runs = [
            ended(1, State::Succeeded),
            ended(2, failed()),
            ended(3, State::Succeeded),
            ended(4, failed()),
            ended(5, State::Running),
        ];
        let runs: Vec<_> = runs.into_iter().flatten().collect();
        let keep = |asked| Keep::new(asked, Retention::default(), Duration::ZERO);
        let few = keep(Retention {
            succeeded: Some(1),
            failed: Some(1),
            seconds: None,
        });
        let gone = beyond(runs.clone(), few, Some("app-3"), 9000);
        assert_eq!(names(&gone), ["app-2", "app-1"]);

        let short = keep(Retention {
            seconds: Some(1),
            ..Retention::default()
        });
        let gone = beyond(runs, short, Some("app-3"), 9000);
        assert_eq!(names(&gone), ["app-4", "app-2", "app-1"]);
    }

    #[test]
    fn runs_that_only_ask_whether_something_reproduces_push_no_result_out() {
        let runs = [
            ended(1, State::Succeeded),
            ended(2, State::Succeeded),
            check(3),
            check(4),
            check(5),
        ];
        let runs = runs.into_iter().flatten().collect();
        let two = Retention {
            succeeded: Some(2),
            ..Retention::default()
        };
        let keep = Keep::new(two, Retention::default(), Duration::ZERO);
        assert_eq!(names(&beyond(runs, keep, None, 9000)), ["app-3"]);
    }
}
