//! Taking up what an earlier process left.
//!
//! A run that was at work is looked at by what its record says it was about to publish. If the registry has that, under all
//! its tags, it has succeeded, and that is recorded as it would have been. If not, nothing is published, as a manifest and
//! its tags are one step: the run waits once more, or has failed if it was interrupted before.

use std::time::{Duration, SystemTime};

use oci::Reference;

use super::definitions::millis;
use super::finish::{cancelled, requeue};
use super::progress::Progress;
use super::reason::failure;
use super::record::Recorded;
use super::submit::id;
use super::{Builds, BuildsError};
use crate::images::{ImageName, ImagesError};
use crate::ledger::Kind;
use crate::records::{OwnReason, Run, RunResult, State};

/// How often a run is begun, the first time counted.
const ATTEMPTS: u32 = 2;

/// How long nothing is tried after something did not answer.
const PAUSE: Duration = Duration::from_secs(1);

impl Builds {
    /// Takes up every run that has not ended. Tries until all are.
    pub(super) async fn recover(&self) {
        while let Err(error) = self.recover_all().await {
            tracing::warn!(%error, "runs of before cannot be taken up now, tried again");
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn recover_all(&self) -> Result<(), BuildsError> {
        for kind in [Kind::Build, Kind::Run] {
            // Two are as good as all: see `Queue::know`.
            for namespace in self.store().ledger().namespaces(kind, None, 2).await? {
                self.queue().know(&namespace);
            }
        }
        let mut after: Option<(String, String)> = None;
        loop {
            let place = after.as_ref().map(|(a, b)| (a.as_str(), b.as_str()));
            let page = self.store().ledger().open(Kind::Run, place, 500).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some((last.key.namespace.clone(), last.key.name.clone()));
            for kept in page {
                // One that cannot be read, or that something is wrong with, holds nobody else.
                let Some(run) = self.store().readable::<Run>(&kept) else {
                    continue;
                };
                match self.take_up(run).await {
                    Err(error @ BuildsError::Unavailable(_)) => return Err(error),
                    Err(error) => {
                        tracing::error!(run = kept.key.name, %error, "a run cannot be taken up");
                    }
                    Ok(()) => {}
                }
            }
        }
    }

    async fn take_up(&self, run: Recorded<Run>) -> Result<(), BuildsError> {
        match run.value.state {
            State::Queued => {
                self.wait_again(&run.value);
                Ok(())
            }
            State::Running => {
                let id = id(&run.value);
                if self.take_up_running(run).await? {
                    self.live().end(&id);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether it has ended now.
    async fn take_up_running(&self, run: Recorded<Run>) -> Result<bool, BuildsError> {
        let now = millis(SystemTime::now());
        let was = run.value.clone();
        let progress = Progress::new(self.clone(), run);
        if let Some(result) = &was.result
            && self.is_published(&was, result).await?
        {
            self.succeed(&progress, result, now).await?;
            self.figures().ended(&progress.run().await);
            return Ok(true);
        }
        if let Some(by) = &was.cancel {
            progress.change(|run| cancelled(run, by, now)).await?;
            self.figures().ended(&progress.run().await);
            return Ok(true);
        }
        if was.attempts >= ATTEMPTS {
            let message = "the server ended while this run was at work, twice: see the server's log; if the run takes more \
                           memory than the machine has, give it a limit in spec.limits.memoryBytes";
            let failure = failure(OwnReason::Interrupted, message);
            self.fail(&progress, &failure, now).await?;
            self.figures().ended(&progress.run().await);
            return Ok(true);
        }
        progress.change(requeue).await?;
        self.wait_again(&progress.run().await);
        Ok(false)
    }

    /// Whether what a run was about to publish is what the registry has.
    pub(super) async fn is_published(
        &self,
        run: &Run,
        result: &RunResult,
    ) -> Result<bool, BuildsError> {
        let Ok(image) = ImageName::parse(&result.image, &[]) else {
            return Ok(false);
        };
        let Some(digest) = image.digest() else {
            return Ok(false);
        };
        let mut references = vec![Reference::Digest(digest)];
        for tag in &result.tags {
            let Ok(tag) = oci::Tag::parse(tag) else {
                return Ok(false);
            };
            references.push(tag.into());
        }
        for reference in references {
            let images = &self.parts().images;
            match images.manifest(&run.actor, image.repo(), &reference).await {
                Ok(Some(found)) if found.digest() == digest => {}
                Err(ImagesError::Unavailable(why)) => return Err(BuildsError::Unavailable(why)),
                // Who may not see it now may not publish it: if it runs again, the run says so.
                Ok(_) | Err(ImagesError::Forbidden(_) | ImagesError::Refused(_)) => {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}
