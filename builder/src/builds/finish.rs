//! The end of a run: its state, its build's status and the event for others, in one write.

use serde::{Deserialize, Serialize};

use super::progress::Progress;
use super::record::put;
use super::scribe::end_phase;
use super::submit::is_check;
use super::{Builds, BuildsError};
use crate::driver::Failure;
use crate::images::ImageName;
use crate::ledger::{Key, Kind, Write};
use crate::records::{Build, Run, RunResult, State};

/// The event that an image was built, as JSON in a record of [`Kind::Event`]; open until somebody has taken it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BuildSucceeded {
    /// [`BuildSucceeded::KIND`].
    pub kind: String,
    /// Where.
    pub namespace: String,
    /// The build; `None` if the run stood alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// The run.
    pub run: String,
    /// The repository that the image is in.
    pub repository: String,
    /// The image's digest.
    pub digest: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// When, in milliseconds since 1970.
    pub at: u64,
}

impl BuildSucceeded {
    /// Which event it is.
    pub const KIND: &str = "build.succeeded";
}

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
        let event = event(&run, result, image.repo().as_str(), &digest, now)?;
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

fn event(
    run: &Run,
    result: &RunResult,
    repository: &str,
    digest: &str,
    now: u64,
) -> Result<Write, BuildsError> {
    let event = BuildSucceeded {
        kind: BuildSucceeded::KIND.to_owned(),
        namespace: run.metadata.namespace.clone(),
        build: run.build.clone(),
        run: run.metadata.name.clone(),
        repository: repository.to_owned(),
        digest: digest.to_owned(),
        tags: result.tags.clone(),
        at: now,
    };
    event_of(&run.metadata.namespace, &event, now)
}

/// The write of an event.
pub(super) fn event_of(
    namespace: &str,
    event: &impl Serialize,
    now: u64,
) -> Result<Write, BuildsError> {
    let body = serde_json::to_vec(event)
        .map_err(|error| BuildsError::Unavailable(format!("an event is no JSON: {error}")))?;
    Ok(Write::Put {
        key: Key {
            kind: Kind::Event,
            namespace: namespace.to_owned(),
            // Names are in the order of time.
            name: format!("{now:013}-{}", uuid::Uuid::new_v4().simple()),
        },
        revision: None,
        open: true,
        brief: None,
        body,
    })
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
