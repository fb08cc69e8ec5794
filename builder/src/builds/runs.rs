//! Runs: asked for, looked at, cancelled, done again, removed.

use std::time::SystemTime;

use super::log::{Follow, LogReader};
use super::record::{Page, PageOf, Recorded};
use super::{Builds, BuildsError};
use crate::ledger::Write;
use crate::records::{Actor, BuildSpec, Cause, Run, SourceSpec};

/// How a run is asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// With whose rights: the person's who asks, or the build's owner's.
    pub actor: Actor,
    /// Why.
    pub cause: Cause,
    /// This source instead of the spec's: an upload.
    pub source: Option<SourceSpec>,
    /// This branch, tag or commit instead of the spec's, where the source is a git repository.
    pub revision: Option<String>,
    /// Whether it runs even if the same plan has a result already.
    pub fresh: bool,
    /// Of a schedule: when it came due, in seconds since 1970. It is noted at the build in the same step; if one no older is
    /// noted there already, the run is not made ([`BuildsError::Busy`]).
    pub scheduled: Option<u64>,
    /// Written in the same step, all or nothing: the delivery of a webhook, so that it starts one run only.
    pub with: Vec<Write>,
}

impl Asked {
    /// Nothing but by whom and why.
    pub fn new(actor: Actor, cause: Cause) -> Self {
        Self {
            actor,
            cause,
            source: None,
            revision: None,
            fresh: false,
            scheduled: None,
            with: Vec::new(),
        }
    }
}

impl Builds {
    /// Asks for a run of a build. It is durable when this returns.
    pub async fn start(
        &self,
        namespace: &str,
        build: &str,
        asked: Asked,
        now: SystemTime,
    ) -> Result<Recorded<Run>, BuildsError> {
        let _ = (namespace, build, asked, now);
        Err(BuildsError::Unavailable(
            "runs are not taken yet".to_owned(),
        ))
    }

    /// Asks for a run of a spec that is no build. Without a name it gets one.
    pub async fn run_once(
        &self,
        namespace: &str,
        name: Option<&str>,
        spec: BuildSpec,
        asked: Asked,
        now: SystemTime,
    ) -> Result<Recorded<Run>, BuildsError> {
        let _ = (namespace, name, spec, asked, now);
        Err(BuildsError::Unavailable(
            "runs are not taken yet".to_owned(),
        ))
    }

    /// Asks for what an ended run did once more: with what names in its spec stand for now, or (`same`) with the same
    /// source, builder image and time, to see whether the same image comes out; that moves no tag. `asked` says who asks;
    /// its cause, source and revision do not count.
    pub async fn again(
        &self,
        namespace: &str,
        run: &str,
        same: bool,
        actor: Actor,
        now: SystemTime,
    ) -> Result<Recorded<Run>, BuildsError> {
        let _ = (namespace, run, same, actor, now);
        Err(BuildsError::Unavailable(
            "runs are not taken yet".to_owned(),
        ))
    }

    /// A run.
    pub async fn run(&self, namespace: &str, name: &str) -> Result<Recorded<Run>, BuildsError> {
        self.store().get(namespace, name).await
    }

    /// The runs of a namespace, in the order of their names.
    pub async fn runs(&self, namespace: &str, page: &PageOf) -> Result<Page<Run>, BuildsError> {
        self.store().page(namespace, page).await
    }

    /// The runs of a build, the newest first; below number `before`, at most `limit`. Empty if there is no such build.
    pub async fn runs_of(
        &self,
        namespace: &str,
        build: &str,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Recorded<Run>>, BuildsError> {
        let _ = (before, limit);
        self.all_runs_of(namespace, build).await
    }

    /// Ends a run: one that waits at once, one at work as soon as its programs are killed. `by` is a user's name or what
    /// wants it. One that has ended stays as it is.
    pub async fn cancel(
        &self,
        namespace: &str,
        name: &str,
        by: &str,
        now: SystemTime,
    ) -> Result<Recorded<Run>, BuildsError> {
        let _ = (by, now);
        self.run(namespace, name).await
    }

    /// Removes a run that has ended, with its log; its image stays. [`BuildsError::Busy`] if it has not ended.
    pub async fn remove_run(&self, namespace: &str, name: &str) -> Result<(), BuildsError> {
        let run = self.run(namespace, name).await?;
        self.remove_ended(&run).await
    }

    /// The log of a run, as far as it is written.
    pub async fn log(&self, namespace: &str, name: &str) -> Result<LogReader, BuildsError> {
        let _ = (namespace, name);
        Err(BuildsError::Unavailable("logs are not kept yet".to_owned()))
    }

    /// The log of a run from an offset ([`super::log::LogLine::next`]; 0 is its beginning) until the run has ended. It may still wait.
    pub async fn follow(
        &self,
        namespace: &str,
        name: &str,
        from: u64,
    ) -> Result<Follow, BuildsError> {
        let _ = (namespace, name, from);
        Err(BuildsError::Unavailable("logs are not kept yet".to_owned()))
    }

    /// All runs of a build, the newest first.
    pub(super) async fn all_runs_of(
        &self,
        namespace: &str,
        build: &str,
    ) -> Result<Vec<Recorded<Run>>, BuildsError> {
        let mut runs = self
            .store()
            .all::<Run>(namespace, &format!("{build}-"))
            .await?;
        // `app-x-1` begins with `app-` too.
        runs.retain(|run| run.value.build.as_deref() == Some(build));
        runs.sort_by_key(|run| std::cmp::Reverse(number(&run.value)));
        Ok(runs)
    }

    pub(super) async fn remove_ended(&self, run: &Recorded<Run>) -> Result<(), BuildsError> {
        if !run.value.state.has_ended() {
            return Err(BuildsError::Busy(format!(
                "{} has not ended: cancel it first",
                run.value.metadata.name
            )));
        }
        self.store().remove(run).await
    }
}

/// The number in a run's name.
pub(super) fn number(run: &Run) -> u64 {
    let name = run.metadata.name.rsplit_once('-');
    name.and_then(|(_, number)| number.parse().ok())
        .unwrap_or(0)
}
