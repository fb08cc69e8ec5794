//! How much a process has written, for whoever watches the machine's disk.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::cgroup::Cgroup;
use super::disk::{Disk, Look};

#[cfg(test)]
mod tests;

/// How old a measure may be that stands for one that takes too long.
const BELIEVED: Duration = Duration::from_secs(60);

/// Shows how much a process has written. Clones show the same; one that belongs to no process yet shows 0.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<Mutex<Option<(Disk, Cgroup)>>>);

/// What a gauge shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It has written so many bytes.
    Bytes(u64),
    /// The process holds files where nobody can look.
    Hidden,
    /// Nobody knows: the folders cannot be read, or not in time.
    Unknown,
}

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
    /// which ends after `most`: then it is what was measured last, if that is no older than a minute.
    pub async fn written(&self, most: Duration) -> Reading {
        let shown = || {
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone()
        };
        let Some((disk, cgroup)) = shown() else {
            return Reading::Bytes(0);
        };
        let look = disk.look(&cgroup, Some(Instant::now() + most));
        // A disk that does not answer keeps even one step of the walk from ending.
        let look = match tokio::time::timeout(most * 2, look).await {
            Ok(Err(_)) => None,
            Ok(Ok(look @ (Look::All(_) | Look::AtLeast(_)))) => Some(look),
            Ok(Ok(Look::Late)) | Err(_) => {
                let last = disk.last();
                let last = last.filter(|measure| measure.at.elapsed() <= BELIEVED);
                last.map(|measure| measure.look)
            }
        };
        match look {
            Some(Look::All(bytes)) => Reading::Bytes(bytes),
            Some(Look::AtLeast(_)) => Reading::Hidden,
            Some(Look::Late) | None => Reading::Unknown,
        }
    }

    /// Shows what a folder grows by.
    #[cfg(test)]
    pub(crate) async fn of(folder: &std::path::Path) -> Self {
        Self::with(folder, &Cgroup::default()).await
    }

    /// The same of a process that hides a file as long as what is given back lives.
    #[cfg(test)]
    pub(crate) async fn hiding(folder: &std::path::Path) -> (Self, impl Drop) {
        let hides = super::disk::tests::Hides::start();
        (Self::with(folder, hides.cgroup()).await, hides)
    }

    #[cfg(test)]
    async fn with(folder: &std::path::Path, members: &Cgroup) -> Self {
        let gauge = Self::default();
        let disk = Disk::start(vec![folder.to_owned()]).await;
        gauge.show(&disk.unwrap(), members);
        gauge
    }
}
