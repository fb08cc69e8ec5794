//! Removing what is not used.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::durable;
use super::lock::{Lock, Mode};
use super::record::Record;
use super::store::{LayerStore, Swept};
use crate::overlay::detach_below;
use crate::tree::{Tree, remove_tree};

/// See [`LayerStore::sweep`].
pub(super) fn sweep(store: &LayerStore, keep: u64) -> io::Result<Swept> {
    let mut swept = Swept {
        leftovers: runs(store)? + incoming(store)? + trash(store)?,
        ..Swept::default()
    };
    let (mut layers, damaged) = layers(store)?;
    swept.leftovers += damaged;
    swept.kept = layers.iter().map(|layer| layer.bytes).sum();
    layers.sort_unstable_by_key(|layer| layer.used);
    for layer in layers {
        if swept.kept <= keep {
            break;
        }
        let lock = store.folder("locks").join(&layer.name);
        // Held: somebody uses it.
        let Some(held) = Lock::try_take(&lock, Mode::Exclusive)? else {
            continue;
        };
        // Used between the look and now.
        if held.stamped()? > layer.used {
            continue;
        }
        store.discard(&store.folder("layers").join(&layer.name))?;
        std::fs::remove_file(&lock)?;
        swept.kept -= layer.bytes;
        swept.bytes += layer.bytes;
        swept.layers += 1;
    }
    locks(store)?;
    Ok(swept)
}

/// See [`LayerStore::settle`].
pub(super) fn settle(store: &LayerStore) -> io::Result<()> {
    let mut unsynced = Vec::new();
    for layer in children(&store.folder("layers"))? {
        if let Some(marked) = durable::marked(&layer)? {
            unsynced.push((marked, layer));
        }
    }
    if !unsynced.is_empty() {
        durable::sync(&store.folder("layers"))?;
    }
    for (marked, layer) in unsynced {
        let Some(name) = layer.file_name() else {
            continue;
        };
        // Nobody makes or removes it now. What was made anew meanwhile is synced the next time.
        if layer.exists()
            && let Some(_held) = Lock::try_take(&store.folder("locks").join(name), Mode::Shared)?
            && durable::marked(&layer)? == Some(marked)
        {
            durable::unmark(&layer)?;
        }
    }
    Ok(())
}

/// A layer that could be removed.
struct Candidate {
    name: OsString,
    bytes: u64,
    used: SystemTime,
}

/// The layers that are whole, and how many were removed because they were not.
fn layers(store: &LayerStore) -> io::Result<(Vec<Candidate>, usize)> {
    let (mut found, mut damaged) = (Vec::new(), 0);
    for path in children(&store.folder("layers"))? {
        let Some(name) = path.file_name() else {
            continue;
        };
        let lock = store.folder("locks").join(name);
        let used = std::fs::metadata(&lock).and_then(|lock| lock.modified());
        let Some(record) = Record::of_whole(&path)? else {
            damaged += usize::from(discard_damaged(store, &path, &lock)?);
            continue;
        };
        found.push(Candidate {
            name: name.to_owned(),
            bytes: record.bytes,
            used: used.unwrap_or(SystemTime::UNIX_EPOCH),
        });
    }
    Ok((found, damaged))
}

/// Removes a layer that is not whole, unless somebody is making it anew or did meanwhile.
fn discard_damaged(store: &LayerStore, layer: &Path, lock: &Path) -> io::Result<bool> {
    let Some(_held) = Lock::try_take(lock, Mode::Exclusive)? else {
        return Ok(false);
    };
    if !layer.exists() || Record::of_whole(layer)?.is_some() {
        return Ok(false);
    }
    store.discard(layer)?;
    std::fs::remove_file(lock)?;
    Ok(true)
}

/// The folders of builds whose process is gone, with what is mounted there.
fn runs(store: &LayerStore) -> io::Result<usize> {
    let mut removed = 0;
    // Each begins and ends with its lock, so that may be there alone.
    let folders = children(&store.folder("runs"))?.into_iter();
    let folders: BTreeSet<_> = folders.map(|path| path.with_extension("")).collect();
    for folder in folders {
        let lock = folder.with_extension("lock");
        if let Some(_held) = Lock::try_take(&lock, Mode::Exclusive)? {
            if folder.exists() {
                detach_below(&folder)?;
            }
            store.discard(&folder)?;
            std::fs::remove_file(&lock)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Half layers whose unpacking process is gone.
fn incoming(store: &LayerStore) -> io::Result<usize> {
    let mut removed = 0;
    for path in children(&store.folder("incoming"))? {
        let Some(name) = path.file_name() else {
            continue;
        };
        let lock = store.folder("locks").join(name);
        if let Some(_held) = Lock::try_take(&lock, Mode::Exclusive)? {
            store.discard(&path)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// What nobody finished removing. Two that remove the same do not hinder each other.
fn trash(store: &LayerStore) -> io::Result<usize> {
    let folder = store.folder("trash");
    let tree = Tree::open(&folder)?;
    let left = children(&folder)?;
    for path in &left {
        if let Some(name) = path.file_name() {
            remove_tree(tree.fd(), name.as_bytes())?;
        }
    }
    Ok(left.len())
}

/// The locks of layers that were refused or are gone.
fn locks(store: &LayerStore) -> io::Result<()> {
    for lock in children(&store.folder("locks"))? {
        let Some(name) = lock.file_name() else {
            continue;
        };
        let layer = store.folder("layers").join(name);
        if layer.exists() {
            continue;
        }
        if let Some(_held) = Lock::try_take(&lock, Mode::Exclusive)?
            && !layer.exists()
        {
            std::fs::remove_file(&lock)?;
        }
    }
    Ok(())
}

fn children(folder: &Path) -> io::Result<Vec<PathBuf>> {
    std::fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect()
}
