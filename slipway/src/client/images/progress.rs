//! How far a copy is, for those who watch it.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle, WeakProgressBar};

const TICK: Duration = Duration::from_millis(200);

/// The bar that is on the terminal: there is one of each.
static SHOWN: Mutex<Option<WeakProgressBar>> = Mutex::new(None);

/// A line on standard error that leaves the bar whole, if there is one.
pub(super) fn say_above(line: &str) {
    let shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
    match shown.as_ref().and_then(WeakProgressBar::upgrade) {
        None => crate::note(line),
        Some(bar) => bar.suspend(|| crate::note(line)),
    }
}

/// A bar on standard error, and the count of what was sent; no bar where that is no terminal.
pub(super) struct Progress {
    bar: ProgressBar,
    sent: AtomicU64,
}

/// One attempt at one blob. What was counted of it is taken back when it is dropped, unless it is kept.
#[derive(Clone)]
pub(super) struct Part(Arc<Counted>);

struct Counted {
    bar: ProgressBar,
    bytes: AtomicU64,
    is_kept: AtomicBool,
}

impl Part {
    /// So many bytes more were sent.
    pub(super) fn add(&self, bytes: usize) {
        let bytes = bytes as u64;
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.0.bar.inc(bytes);
    }

    /// They arrived.
    pub(super) fn keep(&self) {
        self.0.is_kept.store(true, Ordering::Relaxed);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if !self.is_kept.load(Ordering::Relaxed) {
            self.bar.dec(self.bytes.load(Ordering::Relaxed));
        }
    }
}

impl Progress {
    pub(super) fn new() -> Self {
        let bar = if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new(0);
            let style = "{spinner} {msg} {bar:30} {bytes}/{total_bytes} {binary_bytes_per_sec}";
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style);
            }
            bar.enable_steady_tick(TICK);
            *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.downgrade());
            bar
        } else {
            ProgressBar::hidden()
        };
        Self {
            bar,
            sent: AtomicU64::new(0),
        }
    }

    /// What is being copied, and how many bytes that is at most.
    pub(super) fn begin(&self, what: String, bytes: u64) {
        self.bar.set_message(what);
        self.bar.set_length(bytes);
    }

    /// A blob of so many bytes needs not be sent.
    pub(super) fn skip(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    /// A blob is begun, or gone on with behind what arrived before.
    pub(super) fn part(&self, before: u64) -> Part {
        self.bar.inc(before);
        Part(Arc::new(Counted {
            bar: self.bar.clone(),
            bytes: AtomicU64::new(before),
            is_kept: AtomicBool::new(false),
        }))
    }

    /// A blob of so many bytes arrived.
    pub(super) fn arrived(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Clears the bar; how many bytes were sent.
    pub(super) fn finish(&self) -> u64 {
        self.bar.finish_and_clear();
        self.sent.load(Ordering::Relaxed)
    }
}
