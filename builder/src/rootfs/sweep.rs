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
use crate::pruned::{Failures, Pruned, children};
use crate::tree::{Tree, remove_tree};

/// See [`LayerStore::sweep`].
pub(super) fn sweep(store: &LayerStore, keep: u64) -> Pruned<Swept> {
    let mut failures = Failures::none();
    let mut swept = Swept::default();
    for left in [runs, incoming, trash] {
        swept.leftovers += left(store, &mut failures);
    }
    let (mut layers, damaged) = layers(store, &mut failures);
    swept.leftovers += damaged;
    swept.kept = layers.iter().map(|layer| layer.bytes).sum();
    layers.sort_unstable_by_key(|layer| layer.used);
    for layer in layers {
        if swept.kept <= keep {
            break;
        }
        if failures.note(remove(store, &layer)) == Some(true) {
            swept.kept -= layer.bytes;
            swept.bytes += layer.bytes;
            swept.layers += 1;
        }
    }
    locks(store, &mut failures);
    failures.beside(swept)
}

/// Removes a layer, if nobody uses it; whether it is gone.
fn remove(store: &LayerStore, layer: &Candidate) -> io::Result<bool> {
    let lock = store.folder("locks").join(&layer.name);
    // Held: somebody uses it.
    let Some(held) = Lock::try_take(&lock, Mode::Exclusive)? else {
        return Ok(false);
    };
    // Used between the look and now.
    if held.stamped()? > layer.used {
        return Ok(false);
    }
    store.discard(&store.folder("layers").join(&layer.name))?;
    std::fs::remove_file(&lock)?;
    Ok(true)
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
fn layers(store: &LayerStore, failures: &mut Failures) -> (Vec<Candidate>, usize) {
    let (mut found, mut damaged) = (Vec::new(), 0);
    for path in failures.children(&store.folder("layers")) {
        let Some(name) = path.file_name() else {
            continue;
        };
        let lock = store.folder("locks").join(name);
        let used = std::fs::metadata(&lock).and_then(|lock| lock.modified());
        match failures.note(Record::of_whole(&path)) {
            Some(Some(record)) => found.push(Candidate {
                name: name.to_owned(),
                bytes: record.bytes,
                used: used.unwrap_or(SystemTime::UNIX_EPOCH),
            }),
            Some(None) => {
                let gone = failures.note(discard_damaged(store, &path, &lock));
                damaged += usize::from(gone == Some(true));
            }
            None => {}
        }
    }
    (found, damaged)
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
fn runs(store: &LayerStore, failures: &mut Failures) -> usize {
    // Each begins and ends with its lock, so that may be there alone.
    let folders = failures.children(&store.folder("runs")).into_iter();
    let folders: BTreeSet<_> = folders.map(|path| path.with_extension("")).collect();
    let discard = |folder: PathBuf| {
        let lock = folder.with_extension("lock");
        let Some(_held) = Lock::try_take(&lock, Mode::Exclusive)? else {
            return Ok(false);
        };
        if folder.exists() {
            detach_below(&folder)?;
        }
        store.discard(&folder)?;
        std::fs::remove_file(&lock)?;
        Ok(true)
    };
    count(folders, discard, failures)
}

/// Half layers whose unpacking process is gone.
fn incoming(store: &LayerStore, failures: &mut Failures) -> usize {
    let discard = |path: PathBuf| {
        let lock = path
            .file_name()
            .map(|name| store.folder("locks").join(name));
        let Some(_held) = lock.map_or(Ok(None), |lock| Lock::try_take(&lock, Mode::Exclusive))?
        else {
            return Ok(false);
        };
        store.discard(&path)?;
        Ok(true)
    };
    count(
        failures.children(&store.folder("incoming")),
        discard,
        failures,
    )
}

/// What nobody finished removing. Two that remove the same do not hinder each other.
fn trash(store: &LayerStore, failures: &mut Failures) -> usize {
    let folder = store.folder("trash");
    let Some(tree) = failures.note(Tree::open(&folder)) else {
        return 0;
    };
    let discard = |path: PathBuf| {
        let name = path.file_name().unwrap_or_default();
        remove_tree(tree.fd(), name.as_bytes())?;
        Ok(true)
    };
    count(failures.children(&folder), discard, failures)
}

/// The locks of layers that were refused or are gone.
fn locks(store: &LayerStore, failures: &mut Failures) {
    let discard = |lock: PathBuf| {
        let layer = store
            .folder("layers")
            .join(lock.file_name().unwrap_or_default());
        if !layer.exists()
            && let Some(_held) = Lock::try_take(&lock, Mode::Exclusive)?
            && !layer.exists()
        {
            std::fs::remove_file(&lock)?;
        }
        Ok(false)
    };
    count(failures.children(&store.folder("locks")), discard, failures);
}

/// How many of them `discard` has removed; a failure at one keeps it from no other.
fn count(
    paths: impl IntoIterator<Item = PathBuf>,
    discard: impl Fn(PathBuf) -> io::Result<bool>,
    failures: &mut Failures,
) -> usize {
    let gone = paths.into_iter();
    gone.filter(|path| failures.note(discard(path.clone())) == Some(true))
        .count()
}
