//! The end of a run: its state, its build's status and the event for others, in one write.

use super::event::Occurrence;
use super::progress::Progress;
use super::record::{Recorded, put};
use super::reproduce::is_check;
use super::scribe::end_phase;
use super::{Builds, BuildsError};
use crate::driver::Failure;
use crate::ledger::Write;
use crate::records::{Build, Run, RunResult, State};

/// Longest message of a failure that a record keeps; the log has it whole.
const MAX_MESSAGE: usize = 4000;

/// How often an end is tried to be written at once while others write what goes with it.
const TRIES: usize = 100;

impl Builds {
    /// Records that a run has succeeded: what its record says is its result was published.
    pub(super) async fn succeed(
        &self,
        progress: &Progress,
        result: &RunResult,
        now: u64,
    ) -> Result<(), BuildsError> {
        let end = |run: &mut Run| {
            end_phase(&mut run.phases, now);
            run.ended = Some(now);
            run.state = State::Succeeded;
            run.result = Some(result.clone());
        };
        self.end(progress, end).await
    }

    /// Records that a run has failed.
    pub(super) async fn fail(
        &self,
        progress: &Progress,
        failure: &Failure,
        now: u64,
    ) -> Result<(), BuildsError> {
        self.end(progress, |run| fail(run, failure, now)).await
    }

    /// Records the end of a run as `end` makes it, once however often it is asked for.
    async fn end(&self, progress: &Progress, end: impl Fn(&mut Run)) -> Result<(), BuildsError> {
        let mut tried = 0;
        loop {
            let mut run = progress.run().await;
            end(&mut run);
            let mut others = self.told(&run).await?;
            others.extend(self.status(&run).await?);
            match progress.change_with(&end, &others).await {
                // Another run of the namespace has ended, or the build was changed, between.
                Err(BuildsError::Busy(_)) if tried < TRIES => tried += 1,
                Err(BuildsError::Busy(why)) => return Err(BuildsError::Unavailable(why)),
                other => return other,
            }
        }
    }

    /// Writes the end of a run that waited. [`BuildsError::Busy`] if it was changed meanwhile, or another has ended between.
    pub(super) async fn put_end(&self, run: &Recorded<Run>) -> Result<(), BuildsError> {
        let mut writes = vec![put(&run.value, Some(run.revision))?];
        writes.extend(self.told(&run.value).await?);
        Ok(self.store().ledger().write(writes).await?)
    }

    /// The build's new status; `None` if that is not what has happened, there is no build any more, or a newer run has
    /// succeeded already.
    async fn status(&self, run: &Run) -> Result<Option<Write>, BuildsError> {
        let (Some(name), Some(Occurrence::Succeeded { digest, .. })) =
            (&run.build, Occurrence::of(run))
        else {
            return Ok(None);
        };
        let namespace = &run.metadata.namespace;
        let found = match self.store().find::<Build>(namespace, name).await {
            // The run has its end whatever became of its build.
            Ok(None) | Err(BuildsError::Unreadable { .. }) => return Ok(None),
            Ok(Some(found)) => found,
            Err(error) => return Err(error),
        };
        let mut build = found.value;
        let number = |name: &str| {
            name.rsplit_once('-')
                .and_then(|(_, n)| n.parse::<u64>().ok())
        };
        let newest = build.status.succeeded.as_deref().and_then(number);
        if newest > number(&run.metadata.name) {
            return Ok(None);
        }
        build.status.succeeded = Some(run.metadata.name.clone());
        build.status.image = Some(digest);
        build.status.builder.clone_from(&run.resolved.builder);
        build.status.tried = None;
        put(&build, Some(found.revision)).map(Some)
    }
}

/// Records that a run has failed.
pub(super) fn fail(run: &mut Run, failure: &Failure, now: u64) {
    end_phase(&mut run.phases, now);
    run.ended = Some(now);
    run.result = None;
    run.state = State::Failed {
        reason: failure.reason.clone(),
        message: failure.message.chars().take(MAX_MESSAGE).collect(),
    };
}

/// Records that nobody wants a run any more.
pub(super) fn cancelled(run: &mut Run, by: &str, now: u64) {
    end_phase(&mut run.phases, now);
    run.ended = Some(now);
    run.result = None;
    run.state = State::Cancelled { by: by.to_owned() };
}

/// Lets a run that was at work wait again.
pub(super) fn requeue(run: &mut Run) {
    run.state = State::Queued;
    run.started = None;
    run.result = None;
    run.phases.clear();
    if !is_check(run) {
        run.resolved = crate::records::Resolved::default();
    }
}

/// Lets a run that was at work wait again, which is not held against it, unless somebody wants it to end.
pub(super) fn let_wait(run: &mut Run, now: u64) {
    if let Some(by) = run.cancel.clone() {
        return cancelled(run, &by, now);
    }
    requeue(run);
    run.attempts = run.attempts.saturating_sub(1);
}
