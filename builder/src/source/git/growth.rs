//! What a fetch adds to a mirror: counted for the run that it is for while it comes, and removed if the fetch is broken off.

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::runtime::Handle;

use super::mirror::Mirror;
use super::process::size_of;
use crate::room::Written;
use crate::source::Fault;

#[cfg(test)]
mod tests;

/// How often a mirror is looked at. That is a walk through some fifty files at most.
const LOOK: Duration = Duration::from_millis(200);

/// Waits for a fetch into a mirror, and counts in `written` by how many bytes that grows.
pub(super) async fn counted<T>(
    written: &Written,
    mirror: &Mirror,
    fetch: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let unfinished = Unfinished::of(mirror, written);
    let unfinished =
        unfinished.map_err(|error| Fault::machine("the cache of repositories", &error))?;
    let mut growth = Growth::of(mirror.folder(), written).await;
    let fetched = {
        let fetch = pin!(fetch);
        match select(fetch, pin!(growth.watch())).await {
            Either::Left((fetched, _)) => fetched?,
            Either::Right((never, _)) => match never {},
        }
    };
    growth.look().await;
    unfinished.finish();
    Ok(fetched)
}

/// A folder, and by how much it has grown.
struct Growth {
    folder: PathBuf,
    before: u64,
    counted: u64,
    written: Written,
}

impl Growth {
    async fn of(folder: &Path, written: &Written) -> Self {
        let mut growth = Self {
            folder: folder.to_path_buf(),
            before: 0,
            counted: 0,
            written: written.clone(),
        };
        growth.before = growth.size().await;
        growth
    }

    async fn watch(&mut self) -> Infallible {
        loop {
            tokio::time::sleep(LOOK).await;
            self.look().await;
        }
    }

    async fn look(&mut self) {
        let grown = self.size().await.saturating_sub(self.before);
        self.written.add(grown.saturating_sub(self.counted));
        self.counted = self.counted.max(grown);
    }

    async fn size(&self) -> u64 {
        let folder = self.folder.clone();
        let size = tokio::task::spawn_blocking(move || size_of(&folder));
        // What cannot be looked at has not grown.
        size.await.unwrap_or(self.before)
    }
}

/// A fetch that has not ended yet. If it never does, what it left goes at once, and not when somebody fetches there again: the disk may
/// be what it was broken off for. Until then it counts.
struct Unfinished(Option<(Box<dyn FnOnce() + Send>, Written)>);

impl Unfinished {
    fn of(mirror: &Mirror, written: &Written) -> io::Result<Self> {
        Ok(Self(Some((Box::new(mirror.tidying()?), written.clone()))))
    }

    fn finish(mut self) {
        self.0 = None;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let Some((tidy, written)) = self.0.take() else {
            return;
        };
        let tidy = move || {
            tidy();
            drop(written);
        };
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(tidy)),
            Err(_) => tidy(),
        }
    }
}
