//! Writing down what a run says, while it says it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio::time::Interval;
use tokio_util::sync::CancellationToken;

use super::definitions::millis;
use super::log::{Entry, LogWriter, Written};
use super::progress::Progress;
use crate::driver::{Event, Phase};
use crate::records::PhaseTiming;

/// How long a line may be in memory only.
const FLUSH: Duration = Duration::from_secs(1);

/// So much may be said before who says more waits.
const UNHEARD: usize = 1024;

/// Takes what a run says and writes it: lines to the log, phases to the record too.
pub(super) struct Scribe {
    events: Sender<Event>,
    /// Nothing more will be said.
    end: CancellationToken,
    task: JoinHandle<Result<(), JoinError>>,
}

/// Who hears what is said. A task that lets others block for it, and so ends with its runtime wherever it is.
struct Ear {
    events: Receiver<Event>,
    end: CancellationToken,
    tick: Interval,
    progress: Arc<Progress>,
}

/// Who writes. Blocks.
struct Desk {
    writer: LogWriter,
    /// The run, for the server's log.
    run: String,
    /// It was said that the log is not written now.
    is_told: bool,
    written: watch::Sender<Written>,
}

impl Scribe {
    /// Begins. The end of a log is tried to be written for `patience`, each [`FLUSH`].
    pub(super) fn begin(
        run: String,
        (writer, patience): (LogWriter, Duration),
        progress: Arc<Progress>,
        written: watch::Sender<Written>,
    ) -> Self {
        let (events, receiver) = mpsc::channel(UNHEARD);
        let end = CancellationToken::new();
        let desk = Desk {
            writer,
            run,
            is_told: false,
            written,
        };
        let ear = Ear {
            events: receiver,
            end: end.clone(),
            tick: tokio::time::interval(FLUSH),
            progress,
        };
        let task = tokio::spawn(ear.write_down(desk, patience));
        Self { events, end, task }
    }

    /// Where to say something.
    pub(super) fn events(&self) -> &Sender<Event> {
        &self.events
    }

    /// Writes what was said so far, whoever might still hold a sender.
    pub(super) async fn finish(self) {
        self.end.cancel();
        drop(self.events);
        if let Err(error) = self.task.await.and_then(|written| written) {
            tracing::error!(%error, "a run's log is not written any more");
        }
    }
}

impl Ear {
    async fn write_down(mut self, mut desk: Desk, patience: Duration) -> Result<(), JoinError> {
        while let Some(heard) = self.hear().await {
            let now = millis(SystemTime::now());
            for event in &heard {
                if let Event::Phase(phase) = event {
                    self.begin_phase(*phase, now).await;
                }
            }
            desk = desk.at_work(move |desk| desk.write(now, heard)).await?.0;
        }
        let until = Instant::now() + patience;
        loop {
            let done;
            (desk, done) = desk.at_work(Desk::finish).await?;
            match done {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() >= until => {
                    tracing::error!(run = desk.run, %error, "the end of a run's log is lost");
                    return Ok(());
                }
                Err(_) => tokio::time::sleep(FLUSH).await,
            }
        }
    }

    /// What was said since; nothing, if it is time to write what there is; `None` if no more will come.
    async fn hear(&mut self) -> Option<Vec<Event>> {
        let mut heard = Vec::new();
        tokio::select! {
            biased;
            // First: while much is said, too, what waits for a full disk is tried again.
            _ = self.tick.tick() => Some(heard),
            count = self.events.recv_many(&mut heard, UNHEARD) => (count > 0).then_some(heard),
            () = self.end.cancelled() => None,
        }
    }

    /// The record's phases are for looking at: a run does not fail because they are not written.
    async fn begin_phase(&self, phase: Phase, now: u64) {
        let noted = self.progress.change(|run| {
            end_phase(&mut run.phases, now);
            run.phases.push(PhaseTiming {
                phase,
                started: now,
                ended: None,
            });
        });
        if let Err(error) = noted.await {
            tracing::warn!(%error, "a run's phase is not noted");
        }
    }
}

impl Desk {
    /// Does something in a thread that may block.
    async fn at_work<T: Send + 'static>(
        mut self,
        act: impl FnOnce(&mut Self) -> T + Send + 'static,
    ) -> Result<(Self, T), JoinError> {
        let done = spawn_blocking(move || {
            let done = act(&mut self);
            (self, done)
        });
        done.await
    }

    /// Writes entries; without any, what waits to be written.
    fn write(&mut self, now: u64, heard: Vec<Event>) {
        if heard.is_empty() {
            self.log(LogWriter::flush);
        }
        for event in heard {
            let entry = Entry::from(event);
            self.log(|writer| writer.write(now, &entry));
        }
    }

    fn finish(&mut self) -> std::io::Result<()> {
        let done = self.writer.finish(millis(SystemTime::now()));
        self.tell();
        done
    }

    /// Says to who follows how much there is to be read.
    fn tell(&self) {
        let bytes = self.writer.written();
        self.written.send_if_modified(|written| {
            let more = written.bytes != bytes;
            written.bytes = bytes;
            more
        });
    }

    fn log(&mut self, act: impl FnOnce(&mut LogWriter) -> std::io::Result<()>) {
        let done = act(&mut self.writer);
        self.tell();
        if let Err(error) = done
            && !self.is_told
        {
            self.is_told = true;
            tracing::warn!(run = self.run, %error, "a run's log cannot be written now, tried again each second");
        }
        if self.is_told && !self.writer.is_behind() {
            self.is_told = false;
            tracing::info!(run = self.run, "the run's log is written again");
        }
    }
}

/// Ends the phase that is at work.
pub(super) fn end_phase(phases: &mut [PhaseTiming], now: u64) {
    if let Some(last) = phases.last_mut() {
        last.ended.get_or_insert(now);
    }
}
