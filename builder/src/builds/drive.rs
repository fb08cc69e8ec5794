//! The background of the service: runs begin, work and end.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::definitions::millis;
use super::ending::Ending;
use super::finish::{cancelled, fail, let_wait};
use super::live::{Open, Stop, Why};
use super::log::{LogWriter, folder};
use super::pipeline::Pipeline;
use super::progress::{Progress, insist};
use super::queue::RunId;
use super::reason::failure;
use super::scribe::Scribe;
use super::spec::Wanted;
use super::{Builds, BuildsError, Recorded};
use crate::driver::{Event, Failure};
use crate::records::{OwnReason, Run, RunResult, State};

/// How long the queue sleeps at most.
const REST: Duration = Duration::from_secs(60);

/// How long is waited for threads of runs that have ended.
const THREADS_END: Duration = Duration::from_secs(5);

impl Builds {
    /// Takes up what an earlier process left, then runs what is asked for, until `stop`. Then runs at work are ended and
    /// wait again, and it returns when all have; what is being published is published first. For what blocks in a read or a write it waits some seconds. Call it once.
    pub async fn drive(&self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => return,
            () = Box::pin(self.recover()) => {}
        }
        let looking = {
            let builds = self.clone();
            AbortOnDropHandle::new(tokio::spawn(async move { builds.keep_looking().await }))
        };
        let mut working = JoinSet::new();
        let mut tidying = Box::pin(self.keep_tidy(stop.clone()));
        while !stop.is_cancelled() {
            let now = SystemTime::now();
            self.settle(millis(now)).await;
            while let Some(id) = self.begin_next() {
                let open = self.live().open(&id);
                let builds = self.clone();
                working.spawn(async move { builds.work(id, open).await });
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.0.wake.notified() => {}
                () = tokio::time::sleep(self.rest(now)) => {}
                Some(_) = working.join_next() => {}
                () = &mut tidying => {}
            }
        }
        drop(looking);
        self.live().stop_all(&Why::ServerEnds);
        while working.join_next().await.is_some() {}
        self.0.threads.close();
        // They look at the token of their run, and none of them does what others will see: what hangs in a read ends with
        // the process.
        let ended = tokio::time::timeout(THREADS_END, self.0.threads.wait()).await;
        if ended.is_err() {
            tracing::warn!(
                "reading or writing for a run that was ended takes long: it is left behind"
            );
        }
    }

    fn begin_next(&self) -> Option<RunId> {
        self.queue().next()
    }

    /// Until the next of those that wait will have waited too long.
    fn rest(&self, now: SystemTime) -> Duration {
        let due = self.queue().due();
        let rest = due.map(|due| Duration::from_millis(due.saturating_sub(millis(now))));
        rest.map_or(REST, |rest| rest.min(REST))
    }

    /// Ends runs that have waited too long or that a newer one makes needless.
    async fn settle(&self, now: u64) {
        let overdue = self.queue().overdue(now);
        for id in overdue {
            let message = "it waited longer than it may for a free worker, or for the runs of its build before it: ask \
                           again, or allow more time in spec.timeouts.queue";
            let failure = failure(OwnReason::QueueTimeout, message);
            let end = |run: &mut Run| fail(run, &failure, now);
            self.end_waiting(&id, end).await;
        }
        let superseded = self.queue().superseded();
        for (id, newer) in superseded {
            let by = format!("the newer run {}", newer.name);
            let end = |run: &mut Run| cancelled(run, &by, now);
            self.end_waiting(&id, end).await;
        }
    }

    /// Ends a run that waits. It is out of the queue; if it cannot be recorded now, it is looked for, and waits again.
    async fn end_waiting(&self, id: &RunId, end: impl Fn(&mut Run)) {
        let ended = async {
            loop {
                let mut run = self.run(&id.namespace, &id.name).await?;
                if run.value.state != State::Queued {
                    return Ok(());
                }
                end(&mut run.value);
                match self.put_end(&run).await {
                    Err(BuildsError::Busy(_)) => {}
                    Err(error) => return Err(error),
                    Ok(()) => {
                        self.figures().ended(&run.value);
                        return Ok(());
                    }
                }
            }
        };
        match ended.await {
            Ok(()) | Err(BuildsError::NotFound { .. }) => self.live().end(id),
            Err(error) => {
                tracing::warn!(run = id.name, %error, "the end of a waiting run is not recorded");
                self.look_for_unheard();
            }
        }
    }

    /// Lets a run wait that the ledger says waits; how long it may counts from now.
    pub(super) fn wait_again(&self, run: &Run) {
        let wanted = Wanted::parse(&run.metadata.namespace, &run.spec, self.settings());
        // One that cannot be read any more has its turn all the same, and says then what is wrong with it.
        let timeout = wanted.map_or(self.settings().queue_timeout.usual, |wanted| {
            wanted.queue_timeout
        });
        self.wait(run, SystemTime::now() + timeout);
    }

    /// One run, from its turn to its end.
    async fn work(&self, id: RunId, open: Arc<Open>) {
        match self.begin(&id).await {
            Ok(Some(progress)) => self.carry_out(&id, &open, Arc::new(progress)).await,
            Ok(None) => self.live().end(&id),
            Err(error) => {
                tracing::warn!(run = id.name, %error, "a run cannot begin now");
                self.look_for_unheard();
            }
        }
        self.queue().ended(&id);
        // Only now may it wait again.
        if open.stop.server_ends() {
            self.live().end(&id);
        }
        self.wake();
    }

    /// Records that a run is at work; `None` if it is not wanted any more: then that is recorded.
    async fn begin(&self, id: &RunId) -> Result<Option<Progress>, BuildsError> {
        loop {
            let mut run = match self.run(&id.namespace, &id.name).await {
                Err(BuildsError::NotFound { .. }) => return Ok(None),
                other => other?,
            };
            if run.value.state != State::Queued {
                return Ok(None);
            }
            let now = millis(SystemTime::now());
            // Wished while it was at work, in a server that let it wait again.
            if let Some(by) = run.value.cancel.clone() {
                cancelled(&mut run.value, &by, now);
            } else {
                run.value.state = State::Running;
                run.value.attempts += 1;
                run.value.started = Some(now);
            }
            match self.store().replace(run).await {
                Err(BuildsError::Changed { .. }) => {}
                Err(error) => return Err(error),
                Ok(run) if run.value.state.has_ended() => {
                    self.figures().ended(&run.value);
                    return Ok(None);
                }
                Ok(run) => return Ok(Some(Progress::new(self.clone(), run))),
            }
        }
    }

    async fn carry_out(&self, id: &RunId, open: &Open, progress: Arc<Progress>) {
        let run = progress.run().await;
        let folder = folder(&self.settings().logs, &run);
        let name = format!("{}/{}", id.namespace, id.name);
        let writer = LogWriter::new(&folder, self.settings().log_bytes);
        let scribe = Scribe::begin(
            name,
            (writer, self.settings().log_patience),
            Arc::clone(&progress),
            open.written.clone(),
        );
        if run.attempts > 1 {
            let text = "the server ended while this run was at work: it begins anew";
            let _ = scribe.events().send(Event::Note(text.to_owned())).await;
        }
        let outcome = self.within_time(&run, open, &progress, &scribe).await;
        let now = millis(SystemTime::now());
        let ending = self.ending(outcome, &open.stop, &progress).await;
        let _ = scribe.events().send(Event::Note(ending.said())).await;
        // What is said is in the log before the record says that the run has ended.
        scribe.finish().await;
        let recorded = self.record(ending, &progress, open, now).await;
        if let Err(error) = recorded {
            tracing::error!(run = id.name, %error, "the end of a run is not recorded");
            // Its end was, and somebody has removed it since.
            if matches!(error, BuildsError::NotFound { .. }) {
                self.live().end(id);
            }
        }
        let ended = progress.run().await;
        if ended.state.has_ended() {
            self.figures().ended(&ended);
            self.live().end(id);
            self.tidy_after(&run).await;
        }
    }

    async fn within_time(
        &self,
        run: &Run,
        open: &Open,
        progress: &Arc<Progress>,
        scribe: &Scribe,
    ) -> Result<RunResult, Failure> {
        let wanted = Wanted::parse(&run.metadata.namespace, &run.spec, self.settings())?;
        let timeout = wanted.run_timeout;
        let pipeline = Pipeline::new(self, run, &wanted, progress, &open.stop, scribe.events());
        // Large: on the heap, not in each future around it.
        let mut work = Box::pin(pipeline.run());
        tokio::select! {
            outcome = &mut work => return outcome,
            () = tokio::time::sleep(timeout) => open.stop.now(Why::TimedOut),
        }
        work.await
    }

    /// What becomes of a run, by its record as it is now.
    async fn ending(
        &self,
        outcome: Result<RunResult, Failure>,
        stop: &Stop,
        progress: &Progress,
    ) -> Ending {
        let run = progress.run().await;
        match Ending::of(outcome, stop, &run) {
            // Somebody may have wished it to end when it was being stopped already.
            Ending::Waits => match self.run(&run.metadata.namespace, &run.metadata.name).await {
                Ok(Recorded { value, .. }) if value.uid == run.uid => {
                    value.cancel.map_or(Ending::Waits, Ending::Cancelled)
                }
                _ => Ending::Waits,
            },
            ending => ending,
        }
    }

    async fn record(
        &self,
        ending: Ending,
        progress: &Progress,
        open: &Open,
        now: u64,
    ) -> Result<(), BuildsError> {
        let stop = &open.stop;
        match ending {
            Ending::Succeeded(result) => {
                insist(stop, || self.succeed(progress, &result, now)).await
            }
            Ending::Failed(failure) => insist(stop, || self.fail(progress, &failure, now)).await,
            Ending::Cancelled(by) => {
                let end = |run: &mut Run| cancelled(run, &by, now);
                insist(stop, || progress.change(end)).await
            }
            // That the server was ended is nothing that the run did.
            Ending::Waits => progress.change(|run| let_wait(run, now)).await,
            Ending::Unknown => {
                let leave = |run: &mut Run| run.attempts = run.attempts.saturating_sub(1);
                progress.change(leave).await
            }
        }
    }
}
