//! What a load run counts.

use std::cell::{Cell, RefCell};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// What one turn of a [`super::Work`] moved.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    /// Body bytes that were sent. Received ones are counted as they come.
    pub(crate) sent: u64,
    /// The time from the last body byte sent to the last reply.
    pub(crate) tail: Option<Duration>,
}

/// The time in which turns count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(super) start: Instant,
    /// `None`: until the turns are used up.
    pub(super) end: Option<Instant>,
}

impl Window {
    fn holds(&self, now: Instant) -> bool {
        self.start <= now && self.end.is_none_or(|end| now < end)
    }
}

/// Counts of one generator thread.
pub(crate) struct Tally {
    window: &'static OnceLock<Window>,
    turns: Cell<u64>,
    bytes: Cell<u64>,
    errors: Cell<u64>,
    first_error: RefCell<Option<String>>,
    latencies: RefCell<Histogram<u64>>,
    tails: RefCell<Histogram<u64>>,
}

impl Tally {
    /// `window` is set once every connection is open; nothing before counts.
    pub(crate) fn new(window: &'static OnceLock<Window>) -> Self {
        Self {
            window,
            turns: Cell::new(0),
            bytes: Cell::new(0),
            errors: Cell::new(0),
            first_error: RefCell::new(None),
            latencies: RefCell::new(histogram()),
            tails: RefCell::new(histogram()),
        }
    }

    fn counts(&self, now: Instant) -> bool {
        self.window.get().is_some_and(|window| window.holds(now))
    }

    /// Body bytes came in.
    pub(super) fn received(&self, bytes: u64) {
        if self.counts(Instant::now()) {
            self.bytes.set(self.bytes.get() + bytes);
        }
    }

    /// A turn that began at `began` succeeded.
    pub(super) fn done(&self, began: Instant, done: Done) {
        let now = Instant::now();
        if !self.counts(now) {
            return;
        }
        self.turns.set(self.turns.get() + 1);
        self.bytes.set(self.bytes.get() + done.sent);
        self.latencies
            .borrow_mut()
            .saturating_record(micros(now - began));
        if let Some(tail) = done.tail {
            self.tails.borrow_mut().saturating_record(micros(tail));
        }
    }

    /// A turn failed.
    pub(super) fn failed(&self, error: &anyhow::Error) {
        self.errors.set(self.errors.get() + 1);
        self.first_error
            .borrow_mut()
            .get_or_insert_with(|| format!("{error:#}"));
    }

    /// The counts, when the thread is through.
    pub(super) fn finish(&self) -> Outcome {
        Outcome {
            turns: self.turns.get(),
            bytes: self.bytes.get(),
            errors: self.errors.get(),
            first_error: self.first_error.take(),
            latencies: self.latencies.replace(histogram()),
            tails: self.tails.replace(histogram()),
            elapsed: Duration::ZERO,
            busy: 0.0,
        }
    }
}

/// What a load run saw.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// Turns that succeeded.
    pub(crate) turns: u64,
    /// Body bytes, sent and received.
    pub(crate) bytes: u64,
    /// Turns that failed, warm-up included.
    pub(crate) errors: u64,
    /// What the first failure said.
    pub(crate) first_error: Option<String>,
    /// Times of turns, in microseconds.
    pub(crate) latencies: Histogram<u64>,
    /// Times from last body byte to last reply, in microseconds.
    pub(crate) tails: Histogram<u64>,
    /// The window's length.
    pub(crate) elapsed: Duration,
    /// The generator's own CPU time over what it could have had, 0 to 1.
    pub(crate) busy: f64,
}

impl Outcome {
    /// Nothing yet.
    pub(super) fn empty() -> Self {
        Self {
            turns: 0,
            bytes: 0,
            errors: 0,
            first_error: None,
            latencies: histogram(),
            tails: histogram(),
            elapsed: Duration::ZERO,
            busy: 0.0,
        }
    }

    /// Adds another thread's counts.
    pub(super) fn merge(&mut self, other: Self) {
        self.turns += other.turns;
        self.bytes += other.bytes;
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
        // Both have the same bounds, so nothing can fall outside.
        let _ = self.latencies.add(other.latencies);
        let _ = self.tails.add(other.tails);
    }
}

/// One microsecond to ten minutes in three digits.
#[expect(
    clippy::expect_used,
    reason = "the bounds are constants that the constructor accepts"
)]
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 600_000_000, 3).expect("constant bounds")
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
