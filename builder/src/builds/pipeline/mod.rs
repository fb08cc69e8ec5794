//! The way of a run, from names to a published image: one file a phase.
//!
//! 1. `resolve`: names of images become digests.
//! 2. `fetch`: the source comes, and is kept in the registry by digest (`keep`), or was (`kept`).
//! 3. `plan`: all that was found becomes a plan; `scripts` has what is at a URL.
//! 4. `earlier`: if the same plan has a result that is still there, that is the result.
//! 5. `build`: the driver runs it.
//! 6. `publish`: blobs, then one manifest with its tags. Whether a run reproduces, and why not, says `compare`.
//!
//! Until the last step of `publish` a run may be stopped anywhere, and nothing has a tag.

mod build;
mod compare;
mod earlier;
mod fetch;
mod keep;
mod kept;
mod plan;
mod publish;
mod resolve;
mod scripts;

use std::sync::Arc;

use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;

use super::Builds;
use super::live::Stop;
use super::progress::Progress;
use super::reason::failure;
use super::spec::Wanted;
use crate::driver::{Event, Failure, Phase, Writing};
use crate::images::Images;
use crate::records::{OwnReason, Run, RunResult};
use crate::until::Until;

/// A run on its way.
pub(super) struct Pipeline<'a> {
    builds: &'a Builds,
    /// As it was when it began.
    run: &'a Run,
    wanted: &'a Wanted,
    progress: &'a Progress,
    stop: &'a Stop,
    /// Ends the run where it is not published yet: it is stopped, or the others need the disk.
    cancel: CancellationToken,
    writing: Writing,
    events: &'a Sender<Event>,
    /// The registry, with what is done there on this run's account.
    images: Arc<dyn Images>,
}

impl<'a> Pipeline<'a> {
    pub(super) fn new(
        builds: &'a Builds,
        run: &'a Run,
        wanted: &'a Wanted,
        progress: &'a Progress,
        stop: &'a Stop,
        events: &'a Sender<Event>,
    ) -> Self {
        let cancel = stop.token().child_token();
        let name = format!("{}/{}", run.metadata.namespace, run.metadata.name);
        Self {
            images: builds.parts().images.for_run(&name),
            builds,
            run,
            wanted,
            progress,
            stop,
            writing: Writing::new(cancel.clone()),
            cancel,
            events,
        }
    }

    /// The whole way.
    pub(super) async fn run(&self) -> Result<RunResult, Failure> {
        self.phase(Phase::Resolve).await;
        let driver = &self.builds.parts().driver;
        self.unless_stopped(driver.make_room(&self.writing)).await?;
        let bases = self.unless_stopped(Box::pin(self.resolve())).await?;
        self.phase(Phase::Fetch).await;
        let mut source = self.unless_stopped(Box::pin(self.fetch())).await?;
        let scripts = self.unless_stopped(Box::pin(self.scripts())).await?;
        let (planned, snapshot) = loop {
            let planned = self.plan(&bases, &source, &scripts);
            let planned = self.unless_stopped(Box::pin(planned)).await?;
            let earlier = self.unless_stopped(self.earlier(&planned)).await?;
            // What that run was made of need not be read again. Any other source is, or the record of this run would say that the
            // image is of what only says so.
            if let Some(earlier) = earlier.as_ref().filter(|run| source.is_of(run)) {
                self.begin_publishing().await?;
                return self.publish_again(earlier).await;
            }
            let snapshot = Box::pin(self.snapshot(&mut source));
            match (self.unless_stopped(snapshot).await?, earlier) {
                (Some(_), Some(earlier)) => {
                    self.begin_publishing().await?;
                    return self.publish_again(&earlier).await;
                }
                (Some(snapshot), None) => break (planned, snapshot),
                (None, _) => {}
            }
        };
        self.unless_stopped(self.may_move_tags()).await?;
        let built = self.build(&bases, &source, &snapshot, &planned).await?;
        self.begin_publishing().await?;
        self.publish(&bases, &planned, built).await
    }

    /// Waits for something that may be dropped at any time, unless the run is stopped before.
    async fn unless_stopped<T>(
        &self,
        step: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(self.why_stopped()),
            done = step => done,
        }
    }

    /// The same bytes, for a thread that nobody waits for once the run is stopped.
    fn until_stopped<R>(&self, reader: R) -> Until<R> {
        Until::new(reader, self.cancel.clone())
    }

    fn why_stopped(&self) -> Failure {
        self.writing.evicted().unwrap_or_else(stopped)
    }

    /// From here on it writes next to nothing to the disk of builds, and is stopped for nobody's sake.
    async fn begin_publishing(&self) -> Result<(), Failure> {
        self.writing.finish()?;
        self.phase(Phase::Publish).await;
        Ok(())
    }

    async fn phase(&self, phase: Phase) {
        let _ = self.events.send(Event::Phase(phase)).await;
    }

    async fn note(&self, text: impl Into<String>) {
        let _ = self.events.send(Event::Note(text.into())).await;
    }

    fn images(&self) -> &Arc<dyn Images> {
        &self.images
    }

    fn namespace(&self) -> &str {
        &self.run.metadata.namespace
    }
}

/// What a run that is stopped says; its record says why.
fn stopped() -> Failure {
    failure(OwnReason::Cancelled, "the run was stopped")
}
