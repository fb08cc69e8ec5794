//! How much a process has written, for whoever watches the machine's disk.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::cgroup::Cgroup;
use super::disk::Disk;

#[cfg(test)]
mod tests;

/// How old a measure may be that stands for one that takes too long.
const BELIEVED: Duration = Duration::from_secs(60);

/// Shows how much a process has written. Clones show the same; one that belongs to no process yet shows 0.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<Mutex<Option<(Disk, Cgroup)>>>);

impl Gauge {
    pub(super) fn show(&self, disk: &Disk, cgroup: &Cgroup) {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *shown = Some((disk.clone(), cgroup.clone()));
    }

    /// Whether both are one process's.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Bytes by which the process's folders have grown, deleted files that it holds open among them. A walk through those folders,
    /// which ends after `most`: then it is what was measured last, if that is no older than a minute. `None`: nobody knows, as
    /// the folders cannot be read, or files are held where nobody can look.
    pub async fn written(&self, most: Duration) -> Option<u64> {
        let shown = || {
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone()
        };
        let Some((disk, cgroup)) = shown() else {
            return Some(0);
        };
        let grown = disk.grown_by(Instant::now() + most, &cgroup);
        // A disk that does not answer keeps even one step of the walk from ending.
        match tokio::time::timeout(most * 2, grown).await {
            Ok(Ok(Some(bytes))) => Some(bytes),
            Ok(Err(_)) => None,
            Ok(Ok(None)) | Err(_) => {
                let last = disk.last();
                let last = last.filter(|measure| measure.at.elapsed() <= BELIEVED);
                last.map(|measure| measure.bytes)
            }
        }
    }

    /// Shows what a folder grows by.
    #[cfg(test)]
    pub(crate) async fn of(folder: &std::path::Path) -> Self {
        let gauge = Self::default();
        let disk = Disk::start(vec![folder.to_owned()]).await;
        gauge.show(&disk.unwrap(), &Cgroup::default());
        gauge
    }
}
