//! What a connection's bodies have announced and its wire has not sent yet.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::window::{Lease, STEP, Window};

const UNDECIDED: u8 = 0;
const HTTP1: u8 = 1;
const OTHER: u8 = 2;

/// Shared by one plain connection's [`Wire`](crate::Wire) and its bodies.
#[derive(Debug)]
pub(crate) struct Lane {
    window: &'static Window,
    protocol: AtomicU8,
    broken: AtomicBool,
    sent: AtomicU64,
    /// At most the 16 pieces that hyper queues.
    ranges: Mutex<Vec<Announced>>,
}

/// "The addresses from `start` are `file` from `offset`."
#[derive(Debug)]
struct Announced {
    start: usize,
    len: usize,
    sent: usize,
    file: Arc<File>,
    offset: u64,
}

/// A file range that the wire is about to send.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) file: Arc<File>,
    pub(crate) offset: u64,
    pub(crate) len: usize,
}

impl Lane {
    pub(crate) fn new(window: &'static Window) -> Self {
        Self {
            window,
            protocol: AtomicU8::new(UNDECIDED),
            broken: AtomicBool::new(false),
            sent: AtomicU64::new(0),
            ranges: Mutex::default(),
        }
    }

    pub(crate) fn window(&self) -> &'static Window {
        self.window
    }

    /// Says what the client's first bytes showed the protocol to be.
    pub(crate) fn decide(&self, http1: bool) {
        let protocol = if http1 { HTTP1 } else { OTHER };
        self.protocol.store(protocol, Ordering::Release);
    }

    /// Whether bodies may announce ranges here.
    pub(crate) fn is_open(&self) -> bool {
        self.protocol.load(Ordering::Acquire) == HTTP1 && !self.is_broken()
    }

    /// Forbids every further write.
    pub(crate) fn sever(&self) {
        self.broken.store(true, Ordering::Release);
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// File bytes sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Notes a file range of 1 to [`STEP`] bytes and returns the addresses that stand for it;
    /// `None` if the lane is not open or the window is full.
    pub(crate) fn announce(
        self: &Arc<Self>,
        file: &Arc<File>,
        offset: u64,
        len: usize,
    ) -> Option<Bytes> {
        debug_assert!((1..=STEP).contains(&len));
        if !self.is_open() {
            return None;
        }
        let lease = self.window.lease()?;
        self.ranges().push(Announced {
            start: lease.addresses().as_ptr().addr(),
            len,
            sent: 0,
            file: Arc::clone(file),
            offset,
        });
        Some(Bytes::from_owner(Announcement {
            lane: Arc::clone(self),
            lease,
            len,
        }))
    }

    /// Finds the file range behind a slice of the window.
    ///
    /// Fails if this connection did not announce it or has already sent part of it.
    pub(crate) fn claim(&self, slice: &[u8]) -> io::Result<Claim> {
        let from = slice.as_ptr().addr();
        let found = self.ranges().iter().find_map(|range| {
            let next = range.start + range.sent;
            (from == next && slice.len() <= range.len - range.sent).then(|| Claim {
                file: Arc::clone(&range.file),
                offset: range.offset + range.sent as u64,
                len: slice.len(),
            })
        });
        found.ok_or_else(|| {
            self.sever();
            io::Error::other("a file range that this connection did not announce: not sent")
        })
    }

    /// Counts `sent` bytes of a claimed slice.
    pub(crate) fn record(&self, slice: &[u8], sent: usize) {
        let from = slice.as_ptr().addr();
        let mut ranges = self.ranges();
        if let Some(range) = ranges.iter_mut().find(|r| r.start + r.sent == from) {
            range.sent += sent;
        }
        self.sent.fetch_add(sent as u64, Ordering::Relaxed);
    }

    fn ranges(&self) -> std::sync::MutexGuard<'_, Vec<Announced>> {
        self.ranges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Owns the addresses behind an announced `Bytes`; dropped with its last clone.
struct Announcement {
    lane: Arc<Lane>,
    lease: Lease,
    len: usize,
}

impl AsRef<[u8]> for Announcement {
    fn as_ref(&self) -> &[u8] {
        &self.lease.addresses()[..self.len]
    }
}

impl Drop for Announcement {
    /// Takes the range off the lane before the lease gives the addresses back. If it was not
    /// sent whole, its memory may have been copied into what the connection sends next.
    fn drop(&mut self) {
        let start = self.lease.addresses().as_ptr().addr();
        let mut ranges = self.lane.ranges();
        if let Some(at) = ranges.iter().position(|range| range.start == start) {
            let range = ranges.swap_remove(at);
            if range.sent < range.len {
                self.lane.sever();
            }
        }
    }
}
