//! What stops all writing after a failed sync, for good: what the disk holds then is not known, and
//! a second sync that succeeds would only hide it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Blows once and stays blown. Clones are one fuse.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fuse(Arc<AtomicBool>);

impl Fuse {
    pub(crate) fn blow(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_blown(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
