//! Which run is stopped when the disk is nearly full.
//!
//! [`Machine::relieve`] is asked while runs are at work, as what they write is known only then. What nobody uses goes first; if
//! that is not enough, the run that has written the most is stopped, and others only when it is gone and there is still too little:
//! whoever fills the disk is not to end the builds of others. The disk fills meanwhile, so all are measured at once and briefly.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, Once, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::Machine;
use crate::room::{NoRoom, Written};
use crate::sandbox::Gauge;

#[cfg(test)]
mod tests;

/// For so long at most others go on while a run that was stopped ends: what it wrote must be removed before there is room. One that
/// takes longer hangs.
const ENDING: Duration = Duration::from_secs(300);
/// For so long the folders of a run are walked through to find who has written the most.
const WALK: Duration = Duration::from_secs(2);

/// The runs at work.
#[derive(Debug, Default)]
pub(super) struct Writers(Mutex<Vec<Arc<Writer>>>);

#[derive(Debug)]
struct Writer {
    /// What it may write at most, which counts where nobody knows what it has written.
    limit: u64,
    programs: Mutex<Programs>,
    /// What was unpacked, placed and exported for it.
    ours: Written,
    /// Ends it.
    cancel: CancellationToken,
    stopped: OnceLock<Stopped>,
}

/// What programs have written.
#[derive(Clone, Debug, Default)]
struct Programs {
    /// Those that have ended.
    ended: u64,
    /// The one at work.
    at_work: Option<Gauge>,
}

#[derive(Debug)]
struct Stopped {
    at: Instant,
    lacking: NoRoom,
    warned: Once,
}

/// One run at work, while this lives.
#[derive(Debug)]
pub(super) struct Writing<'m> {
    writers: &'m Writers,
    own: Arc<Writer>,
}

impl Writers {
    /// A run begins, which `cancel` ends, and which may write `limit` bytes.
    pub(super) fn enter(&self, cancel: CancellationToken, limit: Option<u64>) -> Writing<'_> {
        let own = Arc::new(Writer {
            limit: limit.unwrap_or(u64::MAX),
            programs: Mutex::default(),
            ours: Written::default(),
            cancel,
            stopped: OnceLock::new(),
        });
        self.all().push(Arc::clone(&own));
        Writing { writers: self, own }
    }

    /// Whether no run is at work.
    pub(super) fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    fn all(&self) -> MutexGuard<'_, Vec<Arc<Writer>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one that was stopped is still at it.
    fn is_ending(&self, now: Instant) -> bool {
        let all = self.all();
        let mut stopped = all.iter().filter_map(|writer| writer.stopped.get());
        stopped.any(|stopped| stopped.is_ending(now))
    }

    /// Stops the run that has written the most, if there is one to be stopped.
    async fn stop_largest(&self, lacking: NoRoom) -> bool {
        let mut at_work = self.all().clone();
        at_work.retain(|writer| writer.stopped.get().is_none());
        let written = join_all(at_work.iter().map(|writer| writer.written())).await;
        let largest = at_work
            .iter()
            .zip(written)
            .max_by_key(|(_, written)| *written);
        let Some((writer, written)) = largest else {
            return false;
        };
        let free = lacking.free;
        tracing::warn!(
            written,
            free,
            "the disk of builds is nearly full: the run that has written the most is stopped"
        );
        let stopped = Stopped {
            at: Instant::now(),
            lacking,
            warned: Once::new(),
        };
        if writer.stopped.set(stopped).is_ok() {
            writer.cancel.cancel();
        }
        true
    }
}

impl Writer {
    async fn written(&self) -> u64 {
        loop {
            let Programs { ended, at_work } = self.programs().clone();
            let known = ended.saturating_add(self.ours.bytes());
            let Some(gauge) = at_work else {
                return known;
            };
            match gauge.written(WALK).await {
                Some(now) => return known.saturating_add(now),
                // It has ended in between, and its folders may be gone.
                None if !self.programs().is_at_work(&gauge) => {}
                None => return self.limit.max(known),
            }
        }
    }

    fn programs(&self) -> MutexGuard<'_, Programs> {
        self.programs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Programs {
    fn is_at_work(&self, program: &Gauge) -> bool {
        let at_work = self.at_work.as_ref();
        at_work.is_some_and(|at_work| at_work.is(program))
    }
}

impl Stopped {
    fn is_ending(&self, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.at);
        if since >= ENDING {
            self.warned.call_once(|| {
                tracing::warn!(
                    seconds = since.as_secs(),
                    "a run that was stopped for the disk does not end; others are stopped too if there is too little room"
                );
            });
        }
        since < ENDING
    }
}

impl Writing<'_> {
    /// A program begins.
    pub(super) fn begins(&self, program: &Gauge) {
        self.own.programs().at_work = Some(program.clone());
    }

    /// It has ended; all programs so far have written so many bytes.
    pub(super) fn ended(&self, written: u64) {
        *self.own.programs() = Programs {
            ended: written,
            at_work: None,
        };
    }

    /// Counts what is written for the run by us.
    pub(super) fn ours(&self) -> &Written {
        &self.own.ours
    }

    /// The disk, as it was when the run was stopped for it.
    pub(super) fn stopped(&self) -> Option<&NoRoom> {
        self.own.stopped.get().map(|stopped| &stopped.lacking)
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let mut all = self.writers.all();
        all.retain(|writer| !Arc::ptr_eq(writer, &self.own));
    }
}

impl Machine {
    /// Looks for room, makes some if there is too little, and stops a run if there is none to be made. True: nothing can be done
    /// that was not done.
    pub(super) fn relieve(&self, runtime: &Handle) -> io::Result<bool> {
        let Some(found) = self.lacking()? else {
            return Ok(false);
        };
        if self.writers.is_ending(Instant::now()) {
            return Ok(false);
        }
        let made = self.make_room();
        let lacking = match &made {
            Ok(None) => return Ok(false),
            Ok(Some(lacking)) => *lacking,
            // Whoever fills the disk is stopped also where nothing can be removed.
            Err(_) => found,
        };
        if runtime.block_on(self.writers.stop_largest(lacking)) {
            return Ok(false);
        }
        made.map(|_| true)
    }
}
