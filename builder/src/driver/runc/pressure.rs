//! Which run is stopped when the disk is nearly full.
//!
//! [`Machine::relieve`] is asked while runs are at work, as what they write is known only then. What nobody uses goes first; if
//! that is not enough, the run that has written the most is stopped, whether it fetches or builds, and others only when it is gone and
//! there is still too little: whoever fills the disk is not to end the builds of others. One that ends may take its time to be removed,
//! and another may fill the disk meanwhile: the next is stopped all the same when half of what was free then is gone. The disk fills
//! meanwhile, so all are measured at once and briefly.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::runtime::Handle;

use super::Machine;
use crate::driver::writing::{Stopped, Writer, Writing};
use crate::room::NoRoom;

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

impl Writers {
    /// A run begins, if it has not yet.
    pub(super) fn enter(&self, run: &Writing) {
        let mut all = self.at_work();
        all.retain(|writer| !Arc::ptr_eq(writer, run.writer()));
        all.push(Arc::clone(run.writer()));
    }

    /// Whether no run is at work.
    pub(super) fn is_empty(&self) -> bool {
        self.at_work().is_empty()
    }

    /// Those that are not over.
    fn at_work(&self) -> MutexGuard<'_, Vec<Arc<Writer>>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|writer| !writer.is_over());
        all
    }

    /// Whether one that was stopped is still at it, and half of what was free then is.
    fn waits(&self, lacking: NoRoom, now: Instant) -> bool {
        let all = self.at_work();
        let stopped = all.iter().filter_map(|writer| writer.stopped());
        let ending = stopped.filter(|stopped| stopped.is_ending(now));
        let least = ending.map(|stopped| stopped.lacking.free).min();
        least.is_some_and(|then| lacking.free >= then / 2)
    }

    /// Stops the run that has written the most, if there is one to be stopped.
    async fn stop_largest(&self, lacking: NoRoom) -> bool {
        let all = self.at_work().clone();
        let at_work = all.iter().filter(|writer| writer.may_be_stopped());
        let measured = at_work.map(async |writer| (writer.written(WALK, &all).await, writer));
        let measured = join_all(measured).await.into_iter();
        // Nothing comes free where nothing was written.
        let measured = measured.filter(|(written, _)| *written > 0);
        let Some((written, largest)) = measured.max_by_key(|(written, _)| *written) else {
            return false;
        };
        let free = lacking.free;
        tracing::warn!(
            written,
            free,
            "the disk of builds is nearly full: the run that has written the most is stopped"
        );
        largest.evict(Stopped {
            at: Instant::now(),
            lacking,
            warned: Once::new(),
        });
        true
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

impl Machine {
    /// Looks for room, makes some if there is too little, and stops a run if there is none to be made. True: nothing can be done
    /// that was not done.
    pub(super) fn relieve(&self, runtime: &Handle) -> io::Result<bool> {
        let Some(found) = self.lacking()? else {
            return Ok(false);
        };
        let made = self.make_room();
        let lacking = match &made {
            Ok(None) => return Ok(false),
            Ok(Some(lacking)) => *lacking,
            // Whoever fills the disk is stopped also where nothing can be removed.
            Err(_) => found,
        };
        if self.writers.waits(lacking, Instant::now())
            || runtime.block_on(self.writers.stop_largest(lacking))
        {
            return Ok(false);
        }
        made.map(|_| true)
    }
}
