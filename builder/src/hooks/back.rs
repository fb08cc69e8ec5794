//! A branch that is pushed back to where it was: some forges sign the same words for that as for the push of then.
//!
//! By itself such a call cannot be told from one that somebody kept and sends again. The repository can tell: only where the branch stands
//! for the commit of the call, and the newest run was of another one, has anything happened that no run knows of.

use std::time::Duration;

use super::{HookError, Hooks};
use crate::builds::{ProbeError, Recorded, RunsOf};
use crate::records::{Build, Cause, Run, SourceSpec};
use crate::source::git::Revision;

/// Repositories that are asked at once. Who calls is nobody that is known.
pub(super) const AT_ONCE: usize = 4;

/// How long one is asked: the forge waits for the answer.
const PATIENCE: Duration = Duration::from_secs(8);

/// Runs of a build among which the newest of its own source is looked for.
const LOOKED_AT: usize = 50;

impl Hooks {
    /// The newest run of the build, if a call that was taken before, and that names `commit`, is about something later than that.
    pub(super) async fn is_behind(
        &self,
        build: &Build,
        commit: &str,
    ) -> Result<Option<String>, HookError> {
        let Some((newest, had)) = self.newest_built(build).await? else {
            return Ok(None);
        };
        if had == commit {
            return Ok(None);
        }
        Ok((self.stands_for(build).await?.as_deref() == Some(commit)).then_some(newest))
    }

    /// The newest run of the build's own source, and its commit; `None` where that is not known (yet): a run that waits builds what the
    /// branch is by then, and a failure is not tried again by being called for again.
    async fn newest_built(&self, build: &Build) -> Result<Option<(String, String)>, HookError> {
        let which = RunsOf {
            build: Some(build.metadata.name.clone()),
            limit: LOOKED_AT,
            ..RunsOf::default()
        };
        let found = self.builds.runs(&build.metadata.namespace, &which).await;
        let found = found.map_err(|error| HookError::Unavailable(error.to_string()))?;
        let is_own = |run: &Recorded<Run>| {
            let is_check = matches!(run.value.cause, Cause::Again { same: true, .. });
            !is_check && place(&run.value.spec.source) == place(&build.spec.source)
        };
        let newest = found.items.into_iter().find(is_own);
        Ok(newest.and_then(|run| Some((run.value.metadata.name, run.value.resolved.commit?))))
    }

    /// The commit that the build's revision stands for now, as its repository says.
    async fn stands_for(&self, build: &Build) -> Result<Option<String>, HookError> {
        let SourceSpec::Git { revision, .. } = &build.spec.source else {
            return Ok(None);
        };
        let Ok(revision) = revision.as_deref().unwrap_or_default().parse::<Revision>() else {
            return Ok(None);
        };
        let Ok(_place) = self.asking.try_acquire() else {
            let message = "too many repositories are being asked where their branches are";
            return Err(HookError::Busy(message.to_owned()));
        };
        let asked = self
            .builds
            .references(&build.metadata.namespace, &build.spec.source);
        let found = match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(found)) => found,
            Ok(Err(ProbeError::Builds(error))) => {
                return Err(HookError::Unavailable(error.to_string()));
            }
            Ok(Err(ProbeError::Fault(fault))) => {
                return Err(HookError::Unavailable(fault.to_string()));
            }
            Err(_) => {
                let message = "the repository does not say in time where the branch is";
                return Err(HookError::Unavailable(message.to_owned()));
            }
        };
        Ok(found
            .commit(&revision)
            .map(|commit| commit.as_str().to_owned()))
    }
}

/// What of a source says which commit it is.
fn place(source: &SourceSpec) -> Option<(&str, Option<&str>)> {
    match source {
        SourceSpec::Git { url, revision, .. } => Some((url, revision.as_deref())),
        SourceSpec::Image { .. } => None,
    }
}
