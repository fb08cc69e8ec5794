//! Removing what is old: ended runs with their logs, logs without runs, events that nobody took.

use std::collections::HashMap;
use std::fs::DirEntry;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

use super::definitions::millis;
use super::record::Recorded;
use super::{Builds, BuildsError};
use crate::ledger::{Kind, Write};
use crate::records::{Build, Retention, Run, State};

/// How often everything is looked through.
const EVERY: Duration = Duration::from_secs(3600);

/// How many events of a namespace are kept for whoever takes them.
const EVENTS: usize = 1000;

/// Ended runs of a kind that a build may keep, where the operator does not let all keep more.
const MOST: u32 = 200;

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
                let runs = self.store().all::<Run>(namespace, "").await?;
                let mut groups: HashMap<Option<String>, Vec<Recorded<Run>>> = HashMap::new();
                for run in runs {
                    groups.entry(run.value.build.clone()).or_default().push(run);
                }
                for (build, runs) in groups {
                    self.prune(namespace, build.as_deref(), runs, now).await?;
                }
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
            let prefix = build.map_or_else(String::new, |build| format!("{build}-"));
            let mut runs = self.store().all::<Run>(namespace, &prefix).await?;
            runs.retain(|run| run.value.build.as_deref() == build);
            self.prune(namespace, build, runs, SystemTime::now()).await
        };
        if let Err(error) = done.await {
            tracing::warn!(%error, "old runs are not removed now");
        }
    }

    async fn prune(
        &self,
        namespace: &str,
        build: Option<&str>,
        runs: Vec<Recorded<Run>>,
        now: SystemTime,
    ) -> Result<(), BuildsError> {
        let build = match build {
            Some(build) => self.store().find::<Build>(namespace, build).await?,
            None => None,
        };
        let asked = build.as_ref().map(|build| build.value.spec.retention);
        let keep = with_defaults(asked.unwrap_or_default(), self.settings().retention);
        let newest = build.and_then(|build| build.value.status.succeeded);
        for run in beyond(runs, keep, newest.as_deref(), millis(now)) {
            match self.remove_ended(&run).await {
                Ok(()) | Err(BuildsError::Changed { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn prune_events(&self, namespace: &str) -> Result<(), BuildsError> {
        let ledger = self.store().ledger();
        let mut all = Vec::new();
        loop {
            let after: Option<&(String, u64)> = all.last();
            let after = after.map(|(name, _)| name.as_str());
            let page = ledger.list(Kind::Event, namespace, "", after, 500).await?;
            if page.is_empty() {
                break;
            }
            all.extend(page.into_iter().map(|kept| (kept.key.name, kept.revision)));
        }
        let old = all.len().saturating_sub(EVENTS);
        for (name, revision) in all.drain(..old) {
            let key = crate::ledger::Key {
                kind: Kind::Event,
                namespace: namespace.to_owned(),
                name,
            };
            ledger.write(vec![Write::Remove { key, revision }]).await?;
        }
        Ok(())
    }

    /// Removes the logs of runs that are gone: the server ended between the one and the other.
    async fn sweep_logs(&self) -> Result<(), BuildsError> {
        let logs = self.settings().logs.clone();
        // Listed before the runs are: a run is in the ledger before it has a log.
        let listed = tokio::task::spawn_blocking(move || folders(&logs)).await;
        for (namespace, mut logs) in listed.unwrap_or_default() {
            let known = |run: Recorded<Run>| {
                logs.remove(&run.value.uid);
            };
            self.store().walk(&namespace, "", known).await?;
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
fn beyond(
    mut runs: Vec<Recorded<Run>>,
    keep: Retention,
    newest: Option<&str>,
    now: u64,
) -> Vec<Recorded<Run>> {
    runs.retain(|run| run.value.state.has_ended());
    runs.sort_by_key(|run| std::cmp::Reverse((run.value.asked, super::runs::number(&run.value))));
    let (mut succeeded, mut failed) = (0, 0);
    let is_beyond = |run: &Recorded<Run>| {
        let run = &run.value;
        let (count, most) = match run.state {
            State::Succeeded => (&mut succeeded, keep.succeeded),
            _ => (&mut failed, keep.failed),
        };
        *count += 1;
        let too_many = most.is_some_and(|most| *count > most);
        let end = run.ended.unwrap_or(now);
        let age = now.saturating_sub(end) / 1000;
        let too_old = keep.seconds.is_some_and(|seconds| age > seconds);
        (too_many || too_old) && Some(run.metadata.name.as_str()) != newest
    };
    let mut is_beyond = is_beyond;
    runs.retain(|run| is_beyond(run));
    runs
}

#[cfg(test)]
mod tests {
    use super::super::tests::run_record;
    use super::*;
    use crate::records::FailureReason;

    fn ended(number: u64, state: State) -> Recorded<Run> {
        let mut run = run_record("team", &format!("app-{number}"));
        run.asked = number;
        run.ended = Some(number * 1000);
        run.state = state;
        Recorded {
            value: run,
            revision: 1,
        }
    }

    fn failed() -> State {
        State::Failed {
            reason: FailureReason::from_word("X".to_owned()),
            message: String::new(),
        }
    }

    fn names(runs: &[Recorded<Run>]) -> Vec<&str> {
        let names = runs.iter().map(|run| run.value.metadata.name.as_str());
        names.collect()
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
        let runs = vec![
            ended(1, State::Succeeded),
            ended(2, failed()),
            ended(3, State::Succeeded),
            ended(4, failed()),
            ended(5, State::Running),
        ];
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
