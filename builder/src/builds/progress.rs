//! The record of a run at work, which others may change meanwhile: somebody cancels it.

use std::time::Duration;

use tokio::sync::Mutex;

use super::live::Stop;
use super::record::{Record as _, Recorded, changed, put};
use super::{Builds, BuildsError, What};
use crate::ledger::{LedgerError, Write};
use crate::records::{Metadata, Run, State};

/// How long nothing is tried after records were not to be written.
const PAUSE: Duration = Duration::from_millis(500);

/// The record of a run at work.
#[derive(Debug)]
pub(super) struct Progress {
    builds: Builds,
    run: Mutex<Recorded<Run>>,
}

impl Progress {
    pub(super) fn new(builds: Builds, run: Recorded<Run>) -> Self {
        Self {
            builds,
            run: Mutex::new(run),
        }
    }

    /// The run as it is.
    pub(super) async fn run(&self) -> Run {
        self.run.lock().await.value.clone()
    }

    /// Changes the run: see [`Progress::change_with`].
    pub(super) async fn change(&self, change: impl Fn(&mut Run)) -> Result<(), BuildsError> {
        self.change_with(change, &[]).await
    }

    /// Changes the run and writes others with it: all or nothing. [`BuildsError::Busy`] if one of the others was changed. What
    /// has ended stays as it is: that is well where it has ended as `change` would end it, for then the end was written and the
    /// answer lost. Else it is [`BuildsError::Changed`]: somebody else has ended it, and nothing is to come of it any more.
    pub(super) async fn change_with(
        &self,
        change: impl Fn(&mut Run),
        others: &[Write],
    ) -> Result<(), BuildsError> {
        let mut current = self.run.lock().await;
        while !current.value.state.has_ended() {
            let mut run = current.value.clone();
            change(&mut run);
            let own = put(&run, Some(current.revision))?;
            let key = run.key();
            let writes = std::iter::once(own).chain(others.iter().cloned());
            match self.builds.store().ledger().write(writes.collect()).await {
                Ok(()) => {
                    current.value = run;
                    current.revision += 1;
                    return Ok(());
                }
                Err(LedgerError::Conflict(other)) if other == key => {
                    *current = self.read_anew(&current.value).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        if has_ended_by(&current.value, change) {
            return Ok(());
        }
        Err(changed(&current.value))
    }

    /// The run as the ledger has it. [`BuildsError::NotFound`] also if another has its name by now.
    async fn read_anew(&self, run: &Run) -> Result<Recorded<Run>, BuildsError> {
        let Metadata {
            namespace, name, ..
        } = &run.metadata;
        let found: Recorded<Run> = self.builds.store().get(namespace, name).await?;
        if found.value.uid == run.uid {
            return Ok(found);
        }
        Err(BuildsError::NotFound {
            what: What::Run,
            namespace: namespace.clone(),
            name: name.clone(),
        })
    }
}

/// Whether a run has ended as a change would end it. What the change makes of it is seen at a run that is at work: of one that has
/// ended, a change that ends none leaves the state as it is.
fn has_ended_by(ended: &Run, change: impl Fn(&mut Run)) -> bool {
    let mut run = ended.clone();
    run.state = State::Running;
    change(&mut run);
    run.state.kind() == ended.state.kind()
}

/// Tries something until records, or the registry, answer, or the server ends.
pub(super) async fn insist<F, T>(stop: &Stop, attempt: impl Fn() -> F) -> Result<T, BuildsError>
where
    F: Future<Output = Result<T, BuildsError>>,
{
    loop {
        match attempt().await {
            Err(error @ BuildsError::Unavailable(_)) => {
                if stop.server_ends() {
                    return Err(error);
                }
                tracing::warn!(%error, "a run's step has no answer, tried again");
                tokio::time::sleep(PAUSE).await;
            }
            other => return other,
        }
    }
}
