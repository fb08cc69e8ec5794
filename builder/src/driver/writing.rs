//! What a run writes to the disk of builds, and how it is stopped for the others' sake.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, Once, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use oci::Digest;
use tokio_util::sync::CancellationToken;

use super::Failure;
use crate::records::OwnReason;
use crate::room::{NoRoom, Written};
use crate::sandbox::{Gauge, Reading};

/// One run's part of the disk, from before it fetches anything until it publishes. Clones are of one run, which is over when the last
/// is dropped, and with it whatever its threads count in: only then is what it wrote gone.
#[derive(Clone, Debug)]
pub struct Writing {
    own: Arc<Writer>,
    ours: Written,
}

/// The same, for whoever looks at all runs: keeps none from being over.
#[derive(Debug)]
pub(super) struct Writer {
    /// Ends the run.
    cancel: CancellationToken,
    /// What it may write at most, which counts where nobody knows what it has written.
    limit: OnceLock<u64>,
    programs: Mutex<Programs>,
    /// What was fetched, unpacked, placed and exported for it.
    ours: Written,
    /// The layers that it stands on, with what was unpacked for it of each.
    layers: Mutex<BTreeMap<Digest, u64>>,
    /// Said once.
    stop: OnceLock<Stop>,
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
enum Stop {
    /// It was stopped for the others' sake.
    Done(Stopped),
    /// It is not to be stopped any more.
    Never,
}

/// A run that was stopped.
#[derive(Debug)]
pub(super) struct Stopped {
    pub(super) at: Instant,
    /// The disk, as it was then.
    pub(super) lacking: NoRoom,
    pub(super) warned: Once,
}

impl Writing {
    /// Of a run that `cancel` ends.
    pub fn new(cancel: CancellationToken) -> Self {
        let ours = Written::default();
        let own = Writer {
            cancel,
            limit: OnceLock::new(),
            programs: Mutex::default(),
            ours: ours.clone(),
            layers: Mutex::default(),
            stop: OnceLock::new(),
        };
        let own = Arc::new(own);
        Self { own, ours }
    }

    /// Says that the run is to be stopped for nobody from here on; an error if it was before.
    pub(crate) fn finish(&self) -> Result<(), Failure> {
        self.own.stop.get_or_init(|| Stop::Never);
        self.evicted().map_or(Ok(()), Err)
    }

    /// Counts what is written for the run by us.
    pub(crate) fn ours(&self) -> &Written {
        &self.ours
    }

    /// What the run fails of if it was stopped for the others' sake.
    pub(crate) fn evicted(&self) -> Option<Failure> {
        let lacking = self.own.stopped()?.lacking;
        Some(Failure {
            reason: OwnReason::Evicted.into(),
            message: format!(
                "the build was stopped: it had written the most of all at work, or hidden how much, when the server's disk for builds had {} MiB left, less \
                 than the {} that are kept free (builder.minFreeBytes); let it write less, or ask whoever runs the server for more room",
                lacking.free >> 20,
                lacking.keep >> 20
            ),
        })
    }

    /// Ends the run.
    pub(super) fn cancel(&self) -> &CancellationToken {
        &self.own.cancel
    }

    /// It may write so many bytes.
    pub(super) fn limit(&self, bytes: Option<u64>) {
        let _ = self.own.limit.set(bytes.unwrap_or(u64::MAX));
    }

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

    /// It stands on these layers; with each, how many bytes of it were unpacked for it.
    pub(super) fn stands_on(&self, layers: impl IntoIterator<Item = (Digest, u64)>) {
        let mut all = self.own.layers();
        for (layer, bytes) in layers {
            *all.entry(layer).or_default() += bytes;
        }
    }

    pub(super) fn writer(&self) -> &Arc<Writer> {
        &self.own
    }
}

impl Writer {
    /// Whether the run is over.
    pub(super) fn is_over(&self) -> bool {
        self.ours.is_last()
    }

    /// How many bytes come free when it goes and these stay. A walk through its program's folders ends after `most`.
    pub(super) async fn written(&self, most: Duration, all: &[Arc<Self>]) -> u64 {
        let shared = self.shared(all);
        loop {
            let Programs { ended, at_work } = self.programs().clone();
            let known = ended.saturating_add(self.ours.bytes());
            let known = known.saturating_sub(shared);
            let Some(gauge) = at_work else {
                return known;
            };
            match gauge.written(most).await {
                Reading::Bytes(now) => return known.saturating_add(now),
                // It has ended in between, and its folders may be gone.
                _ if !self.programs().is_at_work(&gauge) => {}
                // Its limit is its author's to choose, and says nothing of what is hidden.
                Reading::Hidden => return u64::MAX,
                Reading::Unknown => {
                    return self.limit.get().map_or(u64::MAX, |limit| known.max(*limit));
                }
            }
        }
    }

    /// What was unpacked for it and is another's, too: of `all`, which it is one of.
    fn shared(&self, all: &[Arc<Self>]) -> u64 {
        let own = self.layers().clone();
        let is_used = |layer: &Digest| {
            let users = all.iter().filter(|one| one.layers().contains_key(layer));
            users.count() > 1
        };
        let shared = own.iter().filter(|(layer, _)| is_used(layer));
        shared.map(|(_, bytes)| *bytes).sum()
    }

    /// Stops it, once, unless it is not to be stopped any more.
    pub(super) fn evict(&self, stopped: Stopped) {
        if self.stop.set(Stop::Done(stopped)).is_ok() {
            self.cancel.cancel();
        }
    }

    /// Whether it may be stopped.
    pub(super) fn may_be_stopped(&self) -> bool {
        self.stop.get().is_none()
    }

    pub(super) fn stopped(&self) -> Option<&Stopped> {
        match self.stop.get() {
            Some(Stop::Done(stopped)) => Some(stopped),
            Some(Stop::Never) | None => None,
        }
    }

    fn programs(&self) -> MutexGuard<'_, Programs> {
        self.programs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn layers(&self) -> MutexGuard<'_, BTreeMap<Digest, u64>> {
        self.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Programs {
    fn is_at_work(&self, program: &Gauge) -> bool {
        let at_work = self.at_work.as_ref();
        at_work.is_some_and(|at_work| at_work.is(program))
    }
}
