//! The background of the service: runs begin, work and end.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::definitions::millis;
use super::finish::{cancelled, fail, requeue};
use super::live::{Open, Why};
use super::log::{LogWriter, folder};
use super::pipeline::Pipeline;
use super::progress::{Progress, insist};
use super::queue::RunId;
use super::reason::failure;
use super::scribe::Scribe;
use super::spec::Wanted;
use super::{Builds, BuildsError};
use crate::driver::{Event, Failure};
use crate::records::{OwnReason, Run, RunResult, State};

/// How long the queue sleeps at most.
const REST: Duration = Duration::from_secs(60);

impl Builds {
    /// Takes up what an earlier process left, then runs what is asked for, until `stop`. Then runs at work are ended and
    /// wait again, and it returns when all have; what is being published is published first. Call it once.
    pub async fn drive(&self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => return,
            () = Box::pin(self.recover()) => {}
        }
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
        self.live().stop_all(&Why::ServerEnds);
        while working.join_next().await.is_some() {}
        self.0.threads.close();
        self.0.threads.wait().await;
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
            self.end_waiting(&id, end, now).await;
        }
        let superseded = self.queue().superseded();
        for (id, newer) in superseded {
            let by = format!("the newer run {}", newer.name);
            let end = |run: &mut Run| cancelled(run, &by, now);
            self.end_waiting(&id, end, now).await;
        }
    }

    /// Ends a run that waits. It is out of the queue; if it cannot be recorded now, it waits again.
    async fn end_waiting(&self, id: &RunId, end: impl Fn(&mut Run), now: u64) {
        let ended = async {
            loop {
                let mut run = self.run(&id.namespace, &id.name).await?;
                if run.value.state != State::Queued {
                    return Ok(());
                }
                end(&mut run.value);
                match self.put_end(&run, now).await {
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
                self.take_up_later(id.clone());
            }
        }
    }

    /// Reads a run anew after a while and lets it wait if it does.
    fn take_up_later(&self, id: RunId) {
        let builds = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(5)).await;
                match builds.run(&id.namespace, &id.name).await {
                    Err(BuildsError::Unavailable(_)) => {}
                    Ok(run) if run.value.state == State::Queued => {
                        return builds.wait_again(&run.value);
                    }
                    _ => return builds.live().end(&id),
                }
            }
        });
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
                self.take_up_later(id.clone());
            }
        }
        self.queue().ended(&id);
        // Only now may it wait again.
        if open.stop.why() == Some(&Why::ServerEnds) {
            self.live().end(&id);
        }
        self.wake();
    }

    /// Records that a run is at work; `None` if it is not wanted any more.
    async fn begin(&self, id: &RunId) -> Result<Option<Progress>, BuildsError> {
        loop {
            let mut run = match self.run(&id.namespace, &id.name).await {
                Err(BuildsError::NotFound { .. }) => return Ok(None),
                other => other?,
            };
            if run.value.state != State::Queued {
                return Ok(None);
            }
            run.value.state = State::Running;
            run.value.attempts += 1;
            run.value.started = Some(millis(SystemTime::now()));
            match self.store().replace(run).await {
                Err(BuildsError::Changed { .. }) => {}
                Err(error) => return Err(error),
                Ok(run) => return Ok(Some(Progress::new(self.clone(), run))),
            }
        }
    }

    async fn carry_out(&self, id: &RunId, open: &Open, progress: Arc<Progress>) {
        let run = progress.run().await;
        let folder = folder(&self.settings().logs, &run);
        let limit = self.settings().log_bytes;
        let writer = tokio::task::spawn_blocking(move || LogWriter::open(&folder, limit)).await;
        let writer = writer.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        let scribe = Scribe::begin(writer, Arc::clone(&progress), open.written.clone());
        if run.attempts > 1 {
            let text = "the server ended while this run was at work: it begins anew";
            let _ = scribe.events().send(Event::Note(text.to_owned())).await;
        }
        let outcome = self.within_time(&run, open, &progress, &scribe).await;
        let now = millis(SystemTime::now());
        let ending = Ending::of(outcome, open.stop.why(), &run);
        let _ = scribe.events().send(Event::Note(ending.said())).await;
        // What is said is in the log before the record says that the run has ended.
        scribe.finish().await;
        let recorded = self.record(ending, &progress, open, now).await;
        if let Err(error) = recorded {
            tracing::error!(run = id.name, %error, "the end of a run is not recorded");
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
            Ending::Waits => {
                let wait = |run: &mut Run| {
                    requeue(run);
                    run.attempts = run.attempts.saturating_sub(1);
                };
                progress.change(wait).await
            }
        }
    }
}

/// What becomes of a run that is at work no more.
enum Ending {
    Succeeded(RunResult),
    Failed(Failure),
    Cancelled(String),
    Waits,
}

impl Ending {
    fn of(outcome: Result<RunResult, Failure>, why: Option<&Why>, run: &Run) -> Self {
        let error = match outcome {
            // Somebody's wish came too late.
            Ok(result) => return Self::Succeeded(result),
            Err(error) => error,
        };
        match why {
            None => Self::Failed(error),
            Some(Why::Cancelled(by)) => Self::Cancelled(by.clone()),
            Some(Why::ServerEnds) => Self::Waits,
            Some(Why::TimedOut) => {
                let seconds = run.spec.timeouts.run;
                let limit = seconds.map_or_else(
                    || "this server's configuration allows".to_owned(),
                    |seconds| format!("the {seconds} seconds of spec.timeouts.run (--timeout)"),
                );
                let message = format!(
                    "it took longer than {limit}: the log's last lines say where; allow more time, or give it a cache"
                );
                // Why it had no end, if the driver knows.
                if error.reason == OwnReason::TooManyProcesses.into() {
                    let message = format!("{}; {message}", error.message);
                    return Self::Failed(Failure { message, ..error });
                }
                Self::Failed(failure(OwnReason::RunTimeout, message))
            }
        }
    }

    /// The log's last line.
    fn said(&self) -> String {
        match self {
            Self::Succeeded(result) if result.tags.is_empty() => {
                format!("built {}", result.image)
            }
            Self::Succeeded(result) => {
                format!("published {} as {}", result.image, result.tags.join(", "))
            }
            Self::Failed(failure) => format!("{}: {}", failure.reason, failure.message),
            Self::Cancelled(by) => format!("cancelled by {by}"),
            Self::Waits => "the server ends: this run will begin anew".to_owned(),
        }
    }
}
