//! Writing down what a run says, while it says it.

use std::time::{Duration, Instant, SystemTime};

use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Interval;
use tokio_util::sync::CancellationToken;

use super::definitions::millis;
use super::log::{Entry, LogWriter, Written};
use super::progress::Progress;
use crate::driver::{Event, Phase};
use crate::records::PhaseTiming;

/// How long a line may be in memory only.
const FLUSH: Duration = Duration::from_secs(1);

/// Takes what a run says and writes it: lines to the log, phases to the record too.
pub(super) struct Scribe {
    events: Sender<Event>,
    /// Nothing more will be said.
    end: CancellationToken,
    task: JoinHandle<()>,
}

/// What it works with.
struct Desk {
    writer: LogWriter,
    /// For so long the end of a log is tried to be written, each [`FLUSH`].
    patience: Duration,
    /// The run, for the server's log.
    run: String,
    /// It was said that the log is not written now.
    is_told: bool,
    events: Receiver<Event>,
    end: CancellationToken,
    written: watch::Sender<Written>,
    progress: std::sync::Arc<Progress>,
}

impl Scribe {
    /// Begins in a thread that may block.
    pub(super) fn begin(
        run: String,
        (writer, patience): (LogWriter, Duration),
        progress: std::sync::Arc<Progress>,
        written: watch::Sender<Written>,
    ) -> Self {
        let (events, receiver) = mpsc::channel(1024);
        let end = CancellationToken::new();
        let desk = Desk {
            writer,
            patience,
            run,
            is_told: false,
            events: receiver,
            end: end.clone(),
            written,
            progress,
        };
        let handle = Handle::current();
        let task = tokio::task::spawn_blocking(move || desk.work(&handle));
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
        if let Err(error) = self.task.await {
            tracing::error!(%error, "a run's log is not written any more");
        }
    }
}

impl Desk {
    fn work(mut self, handle: &Handle) {
        let mut tick = {
            let _inside = handle.enter();
            tokio::time::interval(FLUSH)
        };
        while let Some(heard) = handle.block_on(self.hear(&mut tick)) {
            let now = millis(SystemTime::now());
            match heard {
                None => self.log(LogWriter::flush),
                Some(event) => {
                    if let Event::Phase(phase) = event {
                        handle.block_on(self.begin_phase(phase, now));
                    }
                    let entry = Entry::from(event);
                    self.log(|writer| writer.write(now, &entry));
                }
            }
        }
        let until = Instant::now() + self.patience;
        while let Err(error) = self.finish() {
            if Instant::now() >= until {
                tracing::error!(run = self.run, %error, "the end of a run's log is lost");
                return;
            }
            std::thread::sleep(FLUSH);
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

    /// The next event; `Some(None)` if it is time to write what there is, `None` if none will come.
    async fn hear(&mut self, tick: &mut Interval) -> Option<Option<Event>> {
        tokio::select! {
            biased;
            // First: while much is said, too, what waits for a full disk is tried again.
            _ = tick.tick() => Some(None),
            event = self.events.recv() => event.map(Some),
            () = self.end.cancelled() => None,
        }
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

/// Ends the phase that is at work.
pub(super) fn end_phase(phases: &mut [PhaseTiming], now: u64) {
    if let Some(last) = phases.last_mut() {
        last.ended.get_or_insert(now);
    }
}
