//! Rows on their way into the record, in the background.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use storage::audit::{Class, Entry, Origin, Outcome, Place, Verb};
use storage::{Audit, Durability, StorageError};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::log::Lines;

/// A row waits at most about this long.
const LINGER: Duration = Duration::from_millis(500);
/// Rows that may wait, about 0.5 KiB each.
const CAPACITY: usize = 8_192;
/// Refusals recorded at once, and from then on in a second: about 860,000 a day. Strangers can be refused as often as
/// they like, and must not fill the disk with it.
const BURST: f64 = 1_000.0;
const PER_SECOND: f64 = 10.0;
/// How often at most a row says how many were left out.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// What is recorded and logged besides changes and refusals, which always are recorded.
#[derive(Debug, Clone, Copy)]
pub struct Recorded {
    /// Pulls of manifests.
    pub pulls: bool,
    /// A line in the log for each row.
    pub log: bool,
}

/// Takes rows that changed nothing and writes them in batches, so that nobody waits for it. What is too much is left out
/// and counted, and the record says how many.
#[derive(Debug)]
pub struct Recorder {
    shared: Arc<Shared>,
    audit: Audit,
    pulls: bool,
    writer: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// Somebody should look at the queue before [`LINGER`] is over.
    wake: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    entries: Vec<Entry>,
    refusals: Budget,
    left_out: LeftOut,
    /// Since the start.
    total_left_out: u64,
    is_closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // A panic leaves a list and some counters, which are whole at any time.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recorder {
    /// Starts the writer, before anything is recorded. Must run inside the runtime.
    pub async fn start(audit: Audit, what: Recorded) -> Result<Self, StorageError> {
        let lines = if what.log {
            Some(Lines::of(audit.clone()).await?)
        } else {
            None
        };
        let shared = Arc::<Shared>::default();
        let writer = Writer {
            shared: Arc::clone(&shared),
            lines,
            audit: audit.clone(),
            waiting: Vec::new(),
            is_failing: false,
        };
        Ok(Self {
            shared,
            audit,
            pulls: what.pulls,
            writer: Mutex::new(Some(tokio::spawn(writer.run()))),
        })
    }

    /// Whether pulls are recorded.
    pub(in crate::http) fn takes_pulls(&self) -> bool {
        self.pulls
    }

    /// Adds a row of what changed nothing. Never waits.
    pub(in crate::http) fn note(&self, entry: Entry) {
        if self.shared.lock().add(entry) {
            self.shared.wake.notify_one();
        }
    }

    /// Adds the row of a change outside the index, which cannot be in one transaction with it. Returns when the row is
    /// durable; one that cannot be written now waits with the others.
    pub(in crate::http) async fn note_durably(&self, entry: Entry) {
        let noted = self.audit.note(vec![entry.clone()], Durability::Now).await;
        if let Err(error) = noted {
            tracing::error!(%error, "the row of a change that was made cannot be written yet");
            self.note(entry);
        }
    }

    /// Rows that were left out since the start.
    pub fn left_out(&self) -> u64 {
        self.shared.lock().total_left_out
    }

    /// Writes what is left. Call it once nothing is under way any more.
    pub async fn close(&self) {
        self.shared.lock().is_closed = true;
        self.shared.wake.notify_one();
        let writer = self.writer.lock().map(|mut writer| writer.take());
        if let Ok(Some(writer)) = writer {
            // A panic there has been reported there.
            let _ = writer.await;
        }
    }
}

impl Queue {
    /// Adds a row or counts it; true when the writer should come early.
    fn add(&mut self, entry: Entry) -> bool {
        let is_refusal = entry.class() == Class::Refusal;
        let is_within = !is_refusal || self.refusals.spend(entry.origin.time);
        if !is_within || self.entries.len() >= CAPACITY {
            self.left_out.count(&entry);
            self.total_left_out += 1;
            return false;
        }
        self.entries.push(entry);
        self.entries.len() == CAPACITY / 4
    }

    fn take(&mut self, now: SystemTime) -> Vec<Entry> {
        let mut entries = std::mem::take(&mut self.entries);
        entries.extend(self.left_out.tell(now, self.is_closed));
        entries
    }
}

/// Rows that were left out, until the record says so.
#[derive(Debug, Default)]
struct LeftOut {
    refusals: u64,
    others: u64,
    since: Option<SystemTime>,
    told: Option<SystemTime>,
}

impl LeftOut {
    fn count(&mut self, entry: &Entry) {
        match entry.class() {
            Class::Refusal => self.refusals += 1,
            Class::Access | Class::Change => self.others += 1,
        }
        self.since.get_or_insert(entry.origin.time);
    }

    /// The row that tells, if there is something to tell and it is time to.
    fn tell(&mut self, now: SystemTime, at_once: bool) -> Option<Entry> {
        let since = self.since?;
        let is_early = self
            .told
            .is_some_and(|told| now.duration_since(told).is_ok_and(|ago| ago < TOLD_EVERY));
        if is_early && !at_once {
            return None;
        }
        let Self {
            refusals, others, ..
        } = std::mem::take(self);
        self.told = Some(now);
        let reason = format!(
            "{refusals} refusals and {others} others were left out since {}: there were too many",
            humantime::format_rfc3339_millis(since)
        );
        let (origin, place) = (Arc::new(Origin::own(now)), Place::Registry);
        let entry = Entry::new(&origin, Verb::Omitted, place, Outcome::Denied, 0);
        Some(entry.because(Some(&reason)))
    }
}

/// A leaky bucket.
#[derive(Debug, Default)]
struct Budget {
    level: f64,
    at: Option<SystemTime>,
}

impl Budget {
    fn spend(&mut self, now: SystemTime) -> bool {
        let since = self.at.and_then(|at| now.duration_since(at).ok());
        self.level = (self.level - since.unwrap_or_default().as_secs_f64() * PER_SECOND).max(0.0);
        self.at = self.at.max(Some(now));
        let is_within = self.level < BURST;
        if is_within {
            self.level += 1.0;
        }
        is_within
    }
}

/// The other end of the queue.
struct Writer {
    shared: Arc<Shared>,
    audit: Audit,
    lines: Option<Lines>,
    /// Taken from the queue and not written yet.
    waiting: Vec<Entry>,
    is_failing: bool,
}

impl Writer {
    async fn run(mut self) {
        loop {
            // Also without rows of ours: changes write their own, and their lines are due.
            let _ = tokio::time::timeout(LINGER, self.shared.wake.notified()).await;
            let is_closed = self.shared.lock().is_closed;
            self.write().await;
            if let Some(lines) = &mut self.lines {
                lines.catch_up().await;
            }
            if is_closed {
                return;
            }
        }
    }

    /// Rows that cannot be written now wait, and those behind them in the queue.
    async fn write(&mut self) {
        if self.waiting.is_empty() {
            self.waiting = self.shared.lock().take(SystemTime::now());
        }
        if self.waiting.is_empty() {
            return;
        }
        let noted = self
            .audit
            .note(self.waiting.clone(), Durability::AtFlush)
            .await;
        match noted {
            Ok(()) => {
                self.waiting.clear();
                self.is_failing = false;
            }
            Err(error) if self.is_failing => {
                tracing::debug!(%error, "rows of the audit record still wait");
            }
            Err(error) => {
                self.is_failing = true;
                tracing::error!(%error, rows = self.waiting.len(), "rows of the audit record cannot be written and wait");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Arc, BURST, CAPACITY, Duration, Entry, Origin, Outcome, Place, Queue, SystemTime, Verb,
    };

    fn entry(verb: Verb, outcome: Outcome, seconds: u64) -> Entry {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        Entry::new(
            &Arc::new(Origin::own(time)),
            verb,
            Place::Registry,
            outcome,
            0,
        )
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "1,000"
    )]
    const AT_ONCE: usize = BURST as usize;

    #[test]
    fn a_flood_of_refusals_is_bounded_counted_and_leaves_room_for_others() {
        let mut queue = Queue::default();
        for _ in 0..AT_ONCE + 700 {
            queue.add(entry(Verb::Pull, Outcome::Denied, 1));
        }
        assert_eq!(queue.entries.len(), AT_ONCE);
        queue.add(entry(Verb::Login, Outcome::Allowed, 1));
        assert_eq!(queue.entries.len(), AT_ONCE + 1);
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(2);
        let taken = queue.take(now);
        let told = taken.last().unwrap();
        assert_eq!((taken.len(), told.verb), (AT_ONCE + 2, Verb::Omitted));
        let reason = told.reason.as_deref().unwrap();
        assert!(reason.starts_with("700 refusals and 0 others"), "{reason}");
        // Ten seconds later there is room for a hundred.
        for _ in 0..300 {
            queue.add(entry(Verb::Pull, Outcome::Denied, 11));
        }
        assert_eq!(queue.entries.len(), 100);
        // Not told again at once; but before the end it is.
        assert_eq!(queue.take(now).len(), 100);
        queue.is_closed = true;
        let reason = queue.take(now).pop().unwrap().reason.unwrap();
        assert!(reason.starts_with("200 refusals"), "{reason}");
        assert_eq!(queue.take(now), []);
        assert_eq!(queue.total_left_out, 900);
    }

    #[test]
    fn a_clock_that_goes_back_is_no_way_round_the_bound() {
        let mut queue = Queue::default();
        for seconds in (0..5_000).rev() {
            queue.add(entry(Verb::Pull, Outcome::Denied, seconds));
        }
        assert_eq!(queue.entries.len(), AT_ONCE);
    }

    #[test]
    fn what_nobody_takes_is_bounded() {
        let mut queue = Queue::default();
        for _ in 0..CAPACITY + 5 {
            queue.add(entry(Verb::Pull, Outcome::Allowed, 1));
        }
        assert_eq!(queue.entries.len(), CAPACITY);
        assert_eq!(queue.total_left_out, 5);
    }
}
