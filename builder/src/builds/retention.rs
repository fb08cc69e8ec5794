//! Removing what is old: ended runs with their logs, logs without runs, events that nobody took.

mod keep;

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

use super::definitions::millis;
use super::record::Recorded;
use super::{Builds, BuildsError};
use crate::ledger::{Kind, Write};
use crate::records::{Build, Run, State};
use keep::{Group, Keep};

/// How often everything is looked through.
const EVERY: Duration = Duration::from_secs(3600);

/// How many events of a namespace are kept for whoever takes them.
const EVENTS: usize = 1000;

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
                let mut groups: HashMap<Group, Vec<Recorded<Run>>> = HashMap::new();
                for run in runs {
                    let group = Group::of(&run.value, &self.settings().hosts);
                    groups.entry(group).or_default().push(run);
                }
                for (group, runs) in groups {
                    self.prune(namespace, &group, runs, now).await?;
                }
                self.prune_events(namespace).await?;
            }
        }
        self.sweep_logs().await
    }

    /// The same for the runs that share places with one that has ended.
    pub(super) async fn tidy_after(&self, run: &Run) {
        let namespace = &run.metadata.namespace;
        let hosts = &self.settings().hosts;
        let group = Group::of(run, hosts);
        let done = async {
            let prefix = group
                .build()
                .map_or_else(String::new, |build| format!("{build}-"));
            let mut runs = self.store().all::<Run>(namespace, &prefix).await?;
            runs.retain(|run| Group::of(&run.value, hosts) == group);
            self.prune(namespace, &group, runs, SystemTime::now()).await
        };
        if let Err(error) = done.await {
            tracing::warn!(%error, "old runs are not removed now");
        }
    }

    async fn prune(
        &self,
        namespace: &str,
        group: &Group,
        runs: Vec<Recorded<Run>>,
        now: SystemTime,
    ) -> Result<(), BuildsError> {
        let build = match group.build() {
            Some(build) => self.store().find::<Build>(namespace, build).await?,
            None => None,
        };
        let asked = build.as_ref().map(|build| build.value.spec.retention);
        let (defaults, at_least) = (self.settings().retention, self.settings().kept_at_least);
        let keep = Keep::new(asked.unwrap_or_default(), defaults, at_least);
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
        let listed = tokio::task::spawn_blocking(move || folders(&logs)).await;
        for (namespace, name) in listed.unwrap_or_default() {
            if self.store().find::<Run>(&namespace, &name).await?.is_none() {
                let log = super::log::folder(&self.settings().logs, &namespace, &name);
                if let Err(error) = tokio::fs::remove_dir_all(&log).await {
                    tracing::warn!(log = %log.display(), %error, "a log was not removed");
                }
            }
        }
        Ok(())
    }
}

/// The logs' folders as namespaces and runs.
fn folders(logs: &Path) -> Vec<(String, String)> {
    let names = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.collect::<Vec<_>>()
    };
    let namespaces = names(logs).into_iter();
    let all = namespaces.flat_map(|namespace| {
        let runs = names(&logs.join(&namespace)).into_iter();
        runs.map(move |run| (namespace.clone(), run))
    });
    all.collect()
}

/// Of a group's runs those that are not kept. The newest one of a build that succeeded is.
fn beyond(
    mut runs: Vec<Recorded<Run>>,
    keep: Keep,
    newest: Option<&str>,
    now: u64,
) -> Vec<Recorded<Run>> {
    runs.retain(|run| run.value.state.has_ended());
    runs.sort_by_key(|run| std::cmp::Reverse((run.value.asked, super::runs::number(&run.value))));
    let (mut succeeded, mut failed) = (0, 0);
    runs.retain(|run| {
        let run = &run.value;
        let has_succeeded = run.state == State::Succeeded;
        let nth = if has_succeeded {
            &mut succeeded
        } else {
            &mut failed
        };
        *nth += 1;
        let age = now.saturating_sub(run.ended.unwrap_or(now)) / 1000;
        keep.is_over(has_succeeded, *nth, age) && Some(run.metadata.name.as_str()) != newest
    });
    runs
}

#[cfg(test)]
mod tests {
    use super::super::tests::run_record;
    use super::*;
    use crate::records::{FailureReason, Retention};

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
    fn the_newest_of_each_kind_are_kept() {
        let runs = vec![
            ended(1, State::Succeeded),
            ended(2, failed()),
            ended(3, State::Succeeded),
            ended(4, failed()),
            ended(5, State::Running),
        ];
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
}
