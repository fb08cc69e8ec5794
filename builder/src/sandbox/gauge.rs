//! How much a process has written, for whoever watches the machine's disk.

use std::sync::{Arc, Mutex, PoisonError};

use super::cgroup::Cgroup;
use super::disk::Disk;

/// Shows how much a process has written. Clones show the same; one that belongs to no process yet shows 0, and one whose process
/// has ended what it left, for as long as that is there.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<Mutex<Option<(Disk, Cgroup)>>>);

impl Gauge {
    pub(super) fn show(&self, disk: &Disk, cgroup: &Cgroup) {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *shown = Some((disk.clone(), cgroup.clone()));
    }

    /// Bytes by which the process's folders have grown, deleted files that it holds open among them. A walk through those folders.
    pub async fn written(&self) -> u64 {
        let shown = || {
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone()
        };
        let Some((disk, cgroup)) = shown() else {
            return 0;
        };
        // Folders that are gone have no bytes.
        disk.grown(cgroup.processes()).await.unwrap_or(0)
    }
}
