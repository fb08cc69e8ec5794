//! One request at a time for each session.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oci::UploadId;

use super::UploadError;

/// The sessions that requests are working on.
#[derive(Debug, Clone, Default)]
pub(super) struct Busy(Arc<Mutex<HashSet<UploadId>>>);

/// The right to work on a session, until dropped.
#[derive(Debug)]
pub(super) struct Working {
    busy: Busy,
    id: UploadId,
}

impl Busy {
    pub(super) fn take(&self, id: &UploadId) -> Result<Working, UploadError> {
        if !self.lock().insert(*id) {
            return Err(UploadError::Busy);
        }
        Ok(Working {
            busy: self.clone(),
            id: *id,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<UploadId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.busy.lock().remove(&self.id);
    }
}
