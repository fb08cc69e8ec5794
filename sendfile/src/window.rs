//! The reserved addresses that stand for file ranges.

use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::sys;

/// Bytes of file that one lease stands for at most: large enough to make the cost per piece
/// vanish, small enough that the page-cache probe still holds when the piece is sent.
pub(crate) const STEP: usize = 1 << 20;

/// Tried in turn, for processes with a limited address space. 65,536 leases, then fewer.
const SIZES: [usize; 3] = [1 << 36, 1 << 32, 1 << 28];

/// What happens to a thread that reads the window.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Access {
    /// It dies (`SIGSEGV`).
    Fault,
    /// It sees zeros.
    Zeros,
}

impl Access {
    const DEFAULT: Self = if cfg!(debug_assertions) {
        Self::Fault
    } else {
        Self::Zeros
    };
}

/// One reservation of address space, kept for the life of the process, in slots of [`STEP`] bytes.
pub(crate) struct Window {
    pages: &'static [u8],
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    /// Slots below this index have been leased at least once.
    fresh: usize,
    free: Vec<usize>,
}

static SHARED: OnceLock<Option<Window>> = OnceLock::new();

impl Window {
    /// The process's window, reserved at the first call; `None` where it cannot be had.
    pub(crate) fn shared() -> Option<&'static Self> {
        SHARED
            .get_or_init(|| Self::reserve(Access::DEFAULT))
            .as_ref()
    }

    /// The process's window if it has been reserved.
    pub(crate) fn existing() -> Option<&'static Self> {
        SHARED.get()?.as_ref()
    }

    pub(crate) fn reserve(access: Access) -> Option<Self> {
        let pages = SIZES
            .iter()
            .find_map(|&size| sys::reserve(size, access).ok())?;
        Some(Self {
            pages,
            slots: Mutex::default(),
        })
    }

    /// Whether the slice lies in the window. Looks at the address only.
    pub(crate) fn contains(&self, slice: &[u8]) -> bool {
        self.pages.as_ptr_range().contains(&slice.as_ptr())
    }

    /// How many slots are leased.
    #[cfg(test)]
    pub(crate) fn leased(&self) -> usize {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.fresh - slots.free.len()
    }

    /// Leases a slot; `None` when all are taken.
    pub(crate) fn lease(&'static self) -> Option<Lease> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.free.pop().or_else(|| {
            let slot = slots.fresh;
            (slot < self.pages.len() / STEP).then(|| {
                slots.fresh += 1;
                slot
            })
        })?;
        Some(Lease { window: self, slot })
    }
}

impl fmt::Debug for Window {
    /// Leaves the pages alone: they are not for reading.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Window").finish_non_exhaustive()
    }
}

/// The right to use one slot's addresses, given back on drop.
#[derive(Debug)]
pub(crate) struct Lease {
    window: &'static Window,
    slot: usize,
}

impl Lease {
    /// The slot's addresses. Not for reading.
    pub(crate) fn addresses(&self) -> &[u8] {
        &self.window.pages[self.slot * STEP..][..STEP]
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.window
            .slots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .free
            .push(self.slot);
    }
}
