//! Walking the tree in the order of keys.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::sync::mpsc;

use super::{Disk, refused};
use crate::{Key, Meta, Prefix, StoreError};

/// Entries that the walking thread sends at a time.
const BATCH: usize = 256;
/// Batches that may wait for the reader.
const AHEAD: usize = 4;

type Found = Result<Meta, StoreError>;

/// A thread walks, the stream takes what it finds. Dropping the stream ends the walk.
pub(super) fn list(
    disk: Arc<Disk>,
    prefix: &Prefix,
    after: Option<&Key>,
) -> BoxStream<'static, Found> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let prefix = prefix.as_str().to_owned();
    let after = after.map(|key| key.as_str().to_owned());
    tokio::task::spawn_blocking(move || {
        let mut walk = Walk {
            after: after.as_deref().unwrap_or_default(),
            batch: Vec::with_capacity(BATCH),
            sender: &sender,
        };
        let walked = walk.folder(&disk.root.join(&prefix), &prefix);
        walk.finish(walked);
    });
    stream::unfold(receiver, |mut receiver| async {
        let batch: Vec<Found> = receiver.recv().await?;
        Some((stream::iter(batch), receiver))
    })
    .flatten()
    .boxed()
}

/// The folders in one folder.
pub(super) fn folders(disk: &Disk, prefix: &Prefix) -> Result<Vec<Prefix>, StoreError> {
    let prefix = prefix.as_str();
    let mut names = names(&disk.root.join(prefix)).map_err(refused)?;
    names.retain(|name| name.ends_with('/'));
    names.sort_unstable();
    let below = |name| Prefix::new(format!("{prefix}{name}"));
    Ok(names.into_iter().map(below).collect())
}

/// Why a walk ends early.
enum Stop {
    /// Nobody listens any more.
    Unheard,
    Failed(io::Error),
}

struct Walk<'a> {
    after: &'a str,
    batch: Vec<Found>,
    sender: &'a mpsc::Sender<Vec<Found>>,
}

impl Walk<'_> {
    /// Walks one folder whose keys begin with `prefix`. Folders sort as if they ended in `/`,
    /// which is how their keys sort.
    fn folder(&mut self, path: &Path, prefix: &str) -> Result<(), Stop> {
        let mut names = names(path).map_err(Stop::Failed)?;
        names.sort_unstable();
        for name in names {
            let key = format!("{prefix}{name}");
            if let Some(folder) = name.strip_suffix('/') {
                // All keys of the folder begin with its own, so it is behind `after` as a whole
                // or holds it.
                if key.as_str() > self.after || self.after.starts_with(&key) {
                    self.folder(&path.join(folder), &key)?;
                }
            } else if key.as_str() > self.after {
                self.file(&path.join(&name), key)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, key: String) -> Result<(), Stop> {
        let metadata = match fs::metadata(path) {
            // Deleted since the folder was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(Stop::Failed)?,
        };
        let modified = metadata.modified().map_err(Stop::Failed)?;
        self.batch.push(Ok(Meta {
            key: Key::new(key),
            size: metadata.len(),
            modified,
        }));
        if self.batch.len() == BATCH {
            let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
            return self.sender.blocking_send(batch).map_err(|_| Stop::Unheard);
        }
        Ok(())
    }

    fn finish(mut self, walked: Result<(), Stop>) {
        if let Err(Stop::Failed(error)) = walked {
            self.batch.push(Err(refused(error)));
        }
        let _ = self.sender.blocking_send(self.batch);
    }
}

/// The entries of a folder, those that are folders with a `/` behind. A folder that is not there
/// is empty. Names that are no UTF-8 are none of ours.
fn names(path: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Ok(mut name) = entry.file_name().into_string() else {
            continue;
        };
        if entry.file_type()?.is_dir() {
            name.push('/');
        }
        names.push(name);
    }
    Ok(names)
}
