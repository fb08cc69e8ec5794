//! The end of a run that failed, and the event for others, in one write.

use super::event;
use super::finish::fail;
use super::progress::Progress;
use super::record::{Recorded, put};
use super::submit::is_check;
use super::{Builds, BuildsError};
use crate::driver::Failure;
use crate::ledger::Write;
use crate::records::Run;

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
    if is_check(run) {
        return Ok(None);
    }
    event::failed(run, now)
}
