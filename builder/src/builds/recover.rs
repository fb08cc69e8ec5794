//! Taking up what an earlier process left.
//!
//! A run that was at work is looked at by what its record says it was about to publish. If the registry has that, under all
//! its tags, it has succeeded, and that is recorded as it would have been. If not, nothing is published, as a manifest and
//! its tags are one step: the run waits once more, or has failed if it was interrupted before.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use oci::Reference;

use super::definitions::millis;
use super::drive::AWAY;
use super::finish::{cancelled, requeue};
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
        let mut after = None;
        loop {
            let page = self.open_runs(&mut after).await?;
            if page.is_empty() {
                return Ok(());
            }
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

    /// Looks after a while for runs that were made though nobody had an answer: they wait in the ledger and nowhere else. One
    /// looks for all.
    pub(super) fn look_for_unheard(&self) {
        if self.0.looking.swap(true, Ordering::SeqCst) {
            return;
        }
        let builds = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(AWAY).await;
                // What is not heard of from here on wants another look.
                builds.0.looking.store(false, Ordering::SeqCst);
                let looked = builds.take_up_unheard().await;
                if looked.is_ok() || builds.0.looking.swap(true, Ordering::SeqCst) {
                    return;
                }
            }
        });
    }

    async fn take_up_unheard(&self) -> Result<(), BuildsError> {
        let mut after = None;
        loop {
            let page = self.open_runs(&mut after).await?;
            if page.is_empty() {
                return Ok(());
            }
            let runs = page
                .iter()
                .filter_map(|kept| self.store().readable::<Run>(kept));
            for Recorded { value: run, .. } in runs {
                if run.state == State::Queued && !self.queue().has(&id(&run)) {
                    self.wait_again(&run);
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
