//! Which run is stopped when the disk is nearly full.
//!
//! [`Machine::relieve`] is asked while runs are at work, as what they write is known only then. What nobody uses goes first; if
//! that is not enough, the run that has written the most is stopped, and others only when it is gone and there is still too little:
//! whoever fills the disk is not to end the builds of others.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::Machine;
use crate::room::NoRoom;
use crate::sandbox::Gauge;

/// For so long at most others go on while a run that was stopped ends: what it wrote must be removed before there is room, and what
/// it left in its caches is searched for its secrets.
const ENDING: Duration = Duration::from_secs(120);

/// The runs at work.
#[derive(Debug, Default)]
pub(super) struct Writers(Mutex<Vec<Arc<Writer>>>);

#[derive(Debug)]
struct Writer {
    /// What its ended programs have written.
    before: AtomicU64,
    /// The program at work, or the last.
    gauge: Mutex<Gauge>,
    /// Ends it.
    cancel: CancellationToken,
    stopped: OnceLock<(Instant, NoRoom)>,
}

/// One run at work, while this lives.
#[derive(Debug)]
pub(super) struct Writing<'m> {
    writers: &'m Writers,
    own: Arc<Writer>,
}

impl Writers {
    /// A run begins, which `cancel` ends.
    pub(super) fn enter(&self, cancel: CancellationToken) -> Writing<'_> {
        let own = Arc::new(Writer {
            before: AtomicU64::new(0),
            gauge: Mutex::default(),
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
    fn is_ending(&self) -> bool {
        let stopped = |writer: &Arc<Writer>| writer.stopped.get().map(|(at, _)| at.elapsed());
        let all = self.all();
        all.iter().filter_map(stopped).any(|since| since < ENDING)
    }

    /// Stops the run that has written the most, if there is one to be stopped.
    async fn stop_largest(&self, lacking: NoRoom) -> bool {
        let mut at_work = self.all().clone();
        at_work.retain(|writer| writer.stopped.get().is_none());
        let mut largest: Option<(u64, Arc<Writer>)> = None;
        for writer in at_work {
            let written = writer.written().await;
            if largest.as_ref().is_none_or(|(most, _)| written > *most) {
                largest = Some((written, writer));
            }
        }
        let Some((_, writer)) = largest else {
            return false;
        };
        if writer.stopped.set((Instant::now(), lacking)).is_ok() {
            writer.cancel.cancel();
        }
        true
    }
}

impl Writer {
    async fn written(&self) -> u64 {
        let gauge = || {
            self.gauge
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone()
        };
        let now = gauge().written().await;
        now.saturating_add(self.before.load(Ordering::Relaxed))
    }
}

impl Writing<'_> {
    /// A program begins; those before it wrote so many bytes.
    pub(super) fn program(&self, gauge: &Gauge, before: u64) {
        let mut shown = self
            .own
            .gauge
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *shown = gauge.clone();
        self.own.before.store(before, Ordering::Relaxed);
    }

    /// The disk, as it was when the run was stopped for it.
    pub(super) fn stopped(&self) -> Option<&NoRoom> {
        self.own.stopped.get().map(|(_, lacking)| lacking)
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
        if self.writers.is_ending() {
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
