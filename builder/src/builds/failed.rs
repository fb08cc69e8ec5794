//! The end of a run that failed, and the event for others, in one write.

use serde::{Deserialize, Serialize};

use super::finish::{event_of, fail};
use super::progress::Progress;
use super::record::{Recorded, put};
use super::submit::is_check;
use super::{Builds, BuildsError};
use crate::driver::Failure;
use crate::ledger::Write;
use crate::records::{FailureReason, Run, State};

/// The event that a run failed, as JSON in a record of [`Kind::Event`](crate::ledger::Kind::Event); open until somebody has
/// taken it. There is none of a run that was cancelled, nor of one that was to reproduce another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BuildFailed {
    /// [`BuildFailed::KIND`].
    pub kind: String,
    /// Where.
    pub namespace: String,
    /// The build; `None` if the run stood alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// The run.
    pub run: String,
    /// Why, for machines.
    pub reason: FailureReason,
    /// Why, for people.
    pub message: String,
    /// When, in milliseconds since 1970.
    pub at: u64,
}

impl BuildFailed {
    /// Which event it is.
    pub const KIND: &str = "build.failed";
}

impl Builds {
    /// Records that a run has failed.
    pub(super) async fn fail(
        &self,
        progress: &Progress,
        failure: &Failure,
        now: u64,
    ) -> Result<(), BuildsError> {
        let mut failed = progress.run().await;
        fail(&mut failed, failure, now);
        let event = told(&failed, now)?;
        let end = |run: &mut Run| fail(run, failure, now);
        progress.change_with(end, event.as_slice()).await
    }

    /// Writes the end of a run that waited. [`BuildsError::Busy`] if it was changed meanwhile.
    pub(super) async fn put_end(&self, run: &Recorded<Run>, now: u64) -> Result<(), BuildsError> {
        let own = put(&run.value, Some(run.revision))?;
        let event = told(&run.value, now)?;
        let writes = std::iter::once(own).chain(event).collect();
        Ok(self.store().ledger().write(writes).await?)
    }
}

/// What others are told of a run that has ended; `None` if it is none that failed.
fn told(run: &Run, now: u64) -> Result<Option<Write>, BuildsError> {
    let State::Failed { reason, message } = &run.state else {
        return Ok(None);
    };
    if is_check(run) {
        return Ok(None);
    }
    let event = BuildFailed {
        kind: BuildFailed::KIND.to_owned(),
        namespace: run.metadata.namespace.clone(),
        build: run.build.clone(),
        run: run.metadata.name.clone(),
        reason: reason.clone(),
        message: message.clone(),
        at: now,
    };
    event_of(&run.metadata.namespace, &event, now).map(Some)
}
