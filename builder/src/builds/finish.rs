//! The end of a run: its state, its build's status and the event for others, in one write.

use super::event;
use super::progress::Progress;
use super::record::put;
use super::scribe::end_phase;
use super::submit::is_check;
use super::{Builds, BuildsError};
use crate::driver::Failure;
use crate::images::ImageName;
use crate::ledger::Write;
use crate::records::{Build, Run, RunResult, State};

/// Longest message of a failure that a record keeps; the log has it whole.
const MAX_MESSAGE: usize = 4000;

/// How often a build's status is tried to be written while others write it.
const TRIES: usize = 100;

impl Builds {
    /// Records that a run has succeeded: what its record says is its result was published.
    pub(super) async fn succeed(
        &self,
        progress: &Progress,
        result: &RunResult,
        now: u64,
    ) -> Result<(), BuildsError> {
        let run = progress.run().await;
        let end = |run: &mut Run| {
            end_phase(&mut run.phases, now);
            run.ended = Some(now);
            run.state = State::Succeeded;
            run.result = Some(result.clone());
        };
        if is_check(&run) {
            return progress.change(end).await;
        }
        let image = ImageName::parse(&result.image, &[]);
        let image = image.map_err(|error| BuildsError::Unavailable(error.to_string()))?;
        let digest = image.digest().map(|digest| digest.to_string());
        let digest = digest.unwrap_or_default();
        let event = event::succeeded(&run, result, image.repo().as_str(), &digest, now)?;
        let mut tried = 0;
        loop {
            let mut others = vec![event.clone()];
            others.extend(self.status(&run, &digest).await?);
            match progress.change_with(end, &others).await {
                // The build was changed between.
                Err(BuildsError::Busy(_)) if tried < TRIES => tried += 1,
                other => return other,
            }
        }
    }

    /// The build's new status; `None` if there is no build any more, or a newer run has succeeded already.
    async fn status(&self, run: &Run, digest: &str) -> Result<Option<Write>, BuildsError> {
        let Some(name) = &run.build else {
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
        build.status.image = Some(digest.to_owned());
        build.status.builder.clone_from(&run.resolved.builder);
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
