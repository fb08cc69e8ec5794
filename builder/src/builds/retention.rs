//! Removing what is old: ended runs with their logs, logs without runs, events that nobody took.

use std::collections::HashMap;
use std::fs::DirEntry;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

use super::definitions::millis;
use super::record::{Recorded, Walk};
use super::runs::prefix;
use super::{Builds, BuildsError};
use crate::ledger::{Kept, Kind, LedgerError, Write};
use crate::records::{Build, Retention, Run, State};

/// How often everything is looked through.
const EVERY: Duration = Duration::from_secs(3600);

/// How many events of a namespace are kept for whoever takes them.
const EVENTS: usize = 1000;

/// Ended runs of a kind that a build may keep, where the operator does not let all keep more.
const MOST: u32 = 200;

/// What decides whether an ended run is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Old {
    name: String,
    build: Option<String>,
    /// When it was asked for, and its number among those of its build.
    asked: (u64, u64),
    /// In milliseconds since 1970.
    ended: Option<u64>,
    has_succeeded: bool,
}

impl Old {
    /// `None` if it has not ended.
    fn of(run: &Run) -> Option<Self> {
        run.state.has_ended().then(|| Self {
            name: run.metadata.name.clone(),
            build: run.build.clone(),
            asked: (run.asked, super::runs::number(run)),
            ended: run.ended,
            has_succeeded: run.state == State::Succeeded,
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

    /// Removes runs beyond what their builds keep, in all namespaces.
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
                let mut builds: HashMap<Option<String>, Vec<Old>> = HashMap::new();
                for run in self.old(namespace, "", |_| true).await? {
                    builds.entry(run.build.clone()).or_default().push(run);
                }
                for (build, runs) in builds {
                    self.prune(namespace, build.as_deref(), runs, now).await?;
                }
                self.prune_namespace(namespace).await?;
                self.prune_events(namespace).await?;
            }
        }
        self.sweep_logs().await
    }

    /// The same for the runs of one build, or for those without, after one of them has ended.
    pub(super) async fn tidy_after(&self, run: &Run) {
        let namespace = &run.metadata.namespace;
        let build = run.build.as_deref();
        let done = async {
            let prefix = build.map_or_else(String::new, prefix);
            let is_of = |run: &Run| run.build.as_deref() == build;
            let runs = self.old(namespace, &prefix, is_of).await?;
            self.prune(namespace, build, runs, SystemTime::now())
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
        is_wanted: impl Fn(&Run) -> bool,
    ) -> Result<Vec<Old>, BuildsError> {
        let mut all = Vec::new();
        let look = |run: Recorded<Run>| {
            all.extend(Old::of(&run.value).filter(|_| is_wanted(&run.value)));
            ControlFlow::Continue(())
        };
        self.store().look(namespace, prefix, look).await?;
        Ok(all)
    }

    async fn prune(
        &self,
        namespace: &str,
        build: Option<&str>,
        runs: Vec<Old>,
        now: SystemTime,
    ) -> Result<(), BuildsError> {
        let build = match build {
            Some(build) => match self.store().find::<Build>(namespace, build).await {
                // What it keeps is not known.
                Err(BuildsError::Unreadable { .. }) => return Ok(()),
                found => found?,
            },
            None => None,
        };
        let asked = build.as_ref().map(|build| build.value.spec.retention);
        let keep = with_defaults(asked.unwrap_or_default(), self.settings().retention);
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
        let (true, Some(build)) = (run.has_succeeded, &run.build) else {
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

    async fn prune_events(&self, namespace: &str) -> Result<(), BuildsError> {
        let ledger = self.store().ledger();
        let count = ledger.count(Kind::Event, namespace).await?;
        let mut old = count.saturating_sub(EVENTS);
        let mut after: Option<String> = None;
        while old > 0 {
            let from = after.as_deref();
            let page = ledger.list(Kind::Event, namespace, "", from, old.min(500));
            let page = page.await?;
            let Some(last) = page.last() else { break };
            after = Some(last.key.name.clone());
            old -= page.len();
            for Kept { key, revision, .. } in page {
                match ledger.write(vec![Write::Remove { key, revision }]).await {
                    // Somebody has taken it.
                    Ok(()) | Err(LedgerError::Conflict(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// Removes the logs of runs that are gone: the server ended between the one and the other.
    async fn sweep_logs(&self) -> Result<(), BuildsError> {
        let logs = self.settings().logs.clone();
        // Listed before the runs are: a run is in the ledger before it has a log.
        let listed = tokio::task::spawn_blocking(move || folders(&logs)).await;
        for (namespace, mut logs) in listed.unwrap_or_default() {
            let mut walk = Walk::new(&namespace, "");
            while let Some(runs) = self.store().more::<Run>(&mut walk).await? {
                for run in runs {
                    logs.remove(&run.value.uid);
                }
            }
            if walk.passed_over > 0 {
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

/// What a build keeps: as it says, but no more runs than [`MOST`], or than the operator lets all keep.
fn with_defaults(asked: Retention, defaults: Retention) -> Retention {
    let runs = |asked: Option<u32>, default: Option<u32>| {
        let most = default.unwrap_or(MOST).max(MOST);
        Some(asked.or(default).unwrap_or(MOST).min(most))
    };
    Retention {
        succeeded: runs(asked.succeeded, defaults.succeeded),
        failed: runs(asked.failed, defaults.failed),
        seconds: asked.seconds.or(defaults.seconds),
    }
}

/// Of a build's runs those that are not kept: beyond the newest so many of their kind, or too long ago. The newest one that
/// succeeded is.
fn beyond(mut runs: Vec<Old>, keep: Retention, newest: Option<&str>, now: u64) -> Vec<Old> {
    runs.sort_by_key(|run| std::cmp::Reverse(run.asked));
    let (mut succeeded, mut failed) = (0, 0);
    runs.retain(|run| {
        let (count, most) = if run.has_succeeded {
            (&mut succeeded, keep.succeeded)
        } else {
            (&mut failed, keep.failed)
        };
        *count += 1;
        let too_many = most.is_some_and(|most| *count > most);
        let age = now.saturating_sub(run.ended.unwrap_or(now)) / 1000;
        let too_old = keep.seconds.is_some_and(|seconds| age > seconds);
        (too_many || too_old) && Some(run.name.as_str()) != newest
    });
    runs
}

#[cfg(test)]
mod tests {
    use super::super::tests::run_record;
    use super::*;
    use crate::records::FailureReason;

    fn ended(number: u64, state: State) -> Option<Old> {
        let mut run = run_record("team", &format!("app-{number}"));
        run.asked = number;
        run.ended = Some(number * 1000);
        run.state = state;
        Old::of(&run)
    }

    fn failed() -> State {
        State::Failed {
            reason: FailureReason::from_word("X".to_owned()),
            message: String::new(),
        }
    }

    fn names(runs: &[Old]) -> Vec<&str> {
        runs.iter().map(|run| run.name.as_str()).collect()
    }

    #[test]
    fn a_build_keeps_no_more_than_the_most() {
        let kept = |asked: Option<u32>, default: Option<u32>| {
            let of = |succeeded| Retention {
                succeeded,
                ..Retention::default()
            };
            with_defaults(of(asked), of(default)).succeeded
        };
        assert_eq!(kept(None, Some(20)), Some(20));
        assert_eq!(kept(Some(50), Some(20)), Some(50));
        assert_eq!(kept(Some(u32::MAX), Some(20)), Some(200));
        assert_eq!(kept(Some(u32::MAX), Some(1000)), Some(1000));
        assert_eq!(kept(None, None), Some(200));
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
        let keep = Retention {
            succeeded: Some(1),
            failed: Some(1),
            seconds: None,
        };
        let gone = beyond(runs.clone(), keep, Some("app-3"), 9000);
        assert_eq!(names(&gone), ["app-2", "app-1"]);

        let keep = Retention {
            seconds: Some(1),
            ..Retention::default()
        };
        let gone = beyond(runs, keep, Some("app-3"), 9000);
        assert_eq!(names(&gone), ["app-4", "app-2", "app-1"]);
    }
}
