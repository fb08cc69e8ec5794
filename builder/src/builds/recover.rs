//! Taking up open runs that nobody has: what an earlier process left, and what this one had no answer of.
//!
//! One looks for all, and knows by the queue whether somebody has a run: that alone lets runs wait, or begin, that are in the
//! ledger already.
//!
//! A run that was at work is looked at by what its record says it was about to publish. If the registry has that, under all
//! its tags, it has succeeded, and that is recorded as it would have been. If not, nothing is published, as a manifest and
//! its tags are one step: the run waits once more, or has failed if it was interrupted before.

use std::time::{Duration, SystemTime};

use oci::Reference;

use super::definitions::millis;
use super::finish::{cancelled, let_wait, requeue};
use super::progress::Progress;
use super::reason::failure;
use super::record::Recorded;
use super::submit::id;
use super::{Builds, BuildsError};
use crate::images::{ImageName, ImagesError};
use crate::ledger::{Kept, Kind};
use crate::records::{OwnReason, Run, RunResult, State};

/// How often a run is begun, the first time counted.
const ATTEMPTS: u32 = 2;

/// How long nothing is tried after something did not answer at the start.
const PAUSE: Duration = Duration::from_secs(1);

/// The same while others work.
const AWAY: Duration = Duration::from_secs(5);

/// Why nobody has a run that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// The process that had it has ended, perhaps by this run.
    Process,
    /// The ledger had written what this process did not hear of.
    Answer,
}

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
        self.take_up_all(Left::Process).await
    }

    /// Says that something had no answer: a run may be open that nobody has.
    pub(super) fn look_for_unheard(&self) {
        self.0.unheard.notify_one();
    }

    /// Looks for such runs a while after that was said, as long as somebody waits for it.
    pub(super) async fn keep_looking(&self) {
        let mut places = Vec::new();
        loop {
            self.0.unheard.notified().await;
            tokio::time::sleep(AWAY).await;
            // What is not heard of from here on wants another look.
            places.append(&mut self.queue().take_unheard());
            while let Err(error) = self.take_up_all(Left::Answer).await {
                tracing::warn!(%error, "runs that had no answer cannot be looked for now, tried again");
                tokio::time::sleep(AWAY).await;
            }
            let mut queue = self.queue();
            for namespace in places.drain(..) {
                queue.give_back(&namespace);
            }
        }
    }

    /// Takes up every open run that nobody has; what is in memory of one that has ended by now ends, too.
    async fn take_up_all(&self, left: Left) -> Result<(), BuildsError> {
        let mut after = None;
        loop {
            let page = self.open_runs(&mut after).await?;
            if page.is_empty() {
                break;
            }
            for kept in page {
                // One that cannot be read, or that something is wrong with, holds nobody else.
                let Some(run) = self.store().readable::<Run>(&kept) else {
                    continue;
                };
                match self.take_up(run, left).await {
                    Err(error @ BuildsError::Unavailable(_)) => return Err(error),
                    Err(error) => {
                        tracing::error!(run = kept.key.name, %error, "a run cannot be taken up");
                    }
                    Ok(()) => {}
                }
            }
        }
        for id in self.live().ids() {
            if self.queue().has(&id) {
                continue;
            }
            match self.run(&id.namespace, &id.name).await {
                Err(error @ BuildsError::Unavailable(_)) => return Err(error),
                Ok(run) if !run.value.state.has_ended() => {}
                Ok(_) | Err(_) => self.live().end(&id),
            }
        }
        Ok(())
    }

    /// Records of runs that have not ended, some behind those of before.
    async fn open_runs(
        &self,
        after: &mut Option<(String, String)>,
    ) -> Result<Vec<Kept>, BuildsError> {
        let place = after.as_ref().map(|(a, b)| (a.as_str(), b.as_str()));
        let page = self.store().ledger().open(Kind::Run, place, 500).await?;
        if let Some(last) = page.last() {
            *after = Some((last.key.namespace.clone(), last.key.name.clone()));
        }
        Ok(page)
    }

    /// A run that is open, or was when it was read: who has it since is seen by the queue.
    async fn take_up(&self, run: Recorded<Run>, left: Left) -> Result<(), BuildsError> {
        let id = id(&run.value);
        if self.queue().has(&id) {
            return Ok(());
        }
        match run.value.state {
            State::Queued => {
                self.wait_again(&run.value);
                Ok(())
            }
            State::Running => {
                match self.take_up_running(run, left).await {
                    Ok(true) => self.live().end(&id),
                    // It had ended since it was read.
                    Ok(false) | Err(BuildsError::Changed { .. }) => {}
                    Err(error) => return Err(error),
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether it has ended now.
    async fn take_up_running(&self, run: Recorded<Run>, left: Left) -> Result<bool, BuildsError> {
        let now = millis(SystemTime::now());
        let was = run.value.clone();
        let progress = Progress::new(self.clone(), run);
        if let Some(result) = &was.result
            && self.is_published(&was, result).await?
        {
            self.succeed(&progress, result, now).await?;
        } else if let Some(by) = &was.cancel {
            progress.change(|run| cancelled(run, by, now)).await?;
        } else if left == Left::Answer {
            progress.change(|run| let_wait(run, now)).await?;
        } else if was.attempts < ATTEMPTS {
            progress.change(requeue).await?;
        } else {
            let message = "the server ended while this run was at work, twice: see the server's log; if the run takes more \
                           memory than the machine has, give it a limit in spec.limits.memoryBytes";
            let failure = failure(OwnReason::Interrupted, message);
            self.fail(&progress, &failure, now).await?;
        }
        let run = progress.run().await;
        if run.state == State::Queued {
            self.wait_again(&run);
            return Ok(false);
        }
        self.figures().ended(&run);
        Ok(true)
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
