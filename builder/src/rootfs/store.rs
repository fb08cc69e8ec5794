//! The store of unpacked layers.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use oci::{Algorithm, Digest};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use super::decompress::Archive;
use super::limits::{Budget, Limits};
use super::lock::{Lock, Mode};
use super::record::Record;
use super::unpack::unpack;
use super::{UnpackError, durable, sweep};
use crate::overlay::Marks;
use crate::pruned::Pruned;
use crate::room::Written;
use crate::tree::{Tree, remove_tree};
use crate::{Compression, IdMap, Range};

/// A folder of unpacked layers that builds share and do not change, each under the digests of its blob and of its archive: that
/// an archive is here gives it to nobody who only knows its digest. Who wants a layer opens its blob each time, with what rights
/// they have.
///
/// Processes may share it. Below the folder, in one for each kind of [`Marks`] and [`IdMap`]:
///
/// ```text
/// layers/<name>/tree/     the files; root of a lower layer
/// layers/<name>/record    what overlayfs does not say of them
/// layers/<name>/unsynced  in which boot it was unpacked, while it may not be on the disk
/// incoming/<name>/        the same, while it is unpacked
/// locks/<name>            held shared by who uses the layer, alone by who makes or removes it;
///                         its time is that of the last use
/// runs/<run>/             a build's own: upper, work, scaffold, mounted; and `runs/<run>.lock`
/// trash/                  what is being removed
/// ```
///
/// `<name>` is a digest of the blob's digest and the archive's (diffID).
#[derive(Debug)]
pub struct LayerStore {
    root: PathBuf,
    marks: Marks,
    ids: IdMap,
}

/// A layer to be had: its digests, and how to read it.
pub struct Blob<'a> {
    /// The digest of the bytes, from the image's manifest.
    pub digest: Digest,
    /// The digest of the archive, from the image's configuration.
    pub diff_id: Digest,
    /// What the bytes are packed in.
    pub compression: Compression,
    /// Opens the bytes. Called for each use, also of a layer that is there: who may not read it does not get it.
    pub open: Box<dyn Fn() -> io::Result<Box<dyn Read + Send>> + Send + Sync + 'a>,
}

/// An unpacked layer in use: it is not swept while this lives.
#[derive(Debug)]
pub struct StoredLayer {
    diff_id: Digest,
    path: PathBuf,
    tree: Tree,
    pub(super) record: Record,
    is_new: bool,
    _lock: Lock,
}

impl StoredLayer {
    /// The digest of its archive.
    pub fn diff_id(&self) -> &Digest {
        &self.diff_id
    }

    /// How many bytes of its archive were unpacked for whoever asked: all, or, if it was there, none.
    pub(crate) fn unpacked(&self) -> u64 {
        if self.is_new { self.record.bytes } else { 0 }
    }

    /// Where its files are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its files, whiteouts in overlayfs's form. Nothing may change them.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }
}

impl LayerStore {
    /// Opens the store in the folder `root`, which is made if it is not there. Its layers are for overlays of the kind
    /// that this process can mount, and for containers whose users are called outside what `ids` says: layers for others
    /// are kept apart. Nothing else may be in the folder.
    pub fn open(root: &Path, ids: IdMap) -> io::Result<Self> {
        let marks = Marks::of_this_process()?;
        let mut name = vec![marks.as_str().to_owned()];
        if ids != IdMap::identity() {
            let text = |range: &Range| {
                let (inside, outside, length) = (range.inside, range.outside, range.length);
                format!("{inside}-{outside}-{length}")
            };
            name.extend(ids.ranges().iter().map(text));
        }
        let root = root.join(name.join("."));
        for folder in ["layers", "incoming", "locks", "runs", "trash"] {
            std::fs::create_dir_all(root.join(folder))?;
        }
        // What is unpacked here may have set-user-ID programs of strangers in it.
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&root, private)?;
        let root = root.canonicalize()?;
        Ok(Self { root, marks, ids })
    }

    /// The layers of an image, in the order of its configuration: the lowest first. Those that are not there are
    /// unpacked, several at a time. The limits are for all of them together. One error ends the others.
    pub fn layers(
        &self,
        blobs: &[Blob<'_>],
        limits: &Limits,
        now: SystemTime,
        cancelled: &CancellationToken,
    ) -> Result<Vec<StoredLayer>, UnpackError> {
        self.layers_for(&Written::default(), blobs, limits, now, cancelled)
    }

    /// The same; the bytes of archives that are unpacked are counted in `written` as they come.
    pub(crate) fn layers_for(
        &self,
        written: &Written,
        blobs: &[Blob<'_>],
        limits: &Limits,
        now: SystemTime,
        cancelled: &CancellationToken,
    ) -> Result<Vec<StoredLayer>, UnpackError> {
        let budget = Budget::new(limits, written);
        let given_up = cancelled.child_token();
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::new());
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let take = || {
            while let Some((index, blob)) = {
                let index = next.fetch_add(1, Ordering::Relaxed);
                blobs.get(index).map(|blob| (index, blob))
            } {
                let layer = self.layer_within(blob, &budget, now, &given_up);
                if layer.is_err() {
                    given_up.cancel();
                }
                let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                done.push((index, layer));
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..threads.min(blobs.len()) {
                scope.spawn(take);
            }
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        // What was given up for another's sake is not the reason.
        let own = |(_, layer): &(usize, Result<StoredLayer, UnpackError>)| matches!(layer, Err(error) if !matches!(error, UnpackError::Cancelled));
        if let Some(at) = done.iter().position(own) {
            done.swap(0, at);
        } else {
            done.sort_unstable_by_key(|(index, _)| *index);
        }
        done.into_iter().map(|(_, layer)| layer).collect()
    }

    /// One layer, unpacked if it is not there, for whoever can open its blob. Who asks for the same at the same time waits for the one who unpacks.
    pub fn layer(
        &self,
        blob: &Blob<'_>,
        limits: &Limits,
        now: SystemTime,
        cancelled: &CancellationToken,
    ) -> Result<StoredLayer, UnpackError> {
        let budget = Budget::new(limits, &Written::default());
        self.layer_within(blob, &budget, now, cancelled)
    }

    fn layer_within(
        &self,
        blob: &Blob<'_>,
        budget: &Budget,
        now: SystemTime,
        cancelled: &CancellationToken,
    ) -> Result<StoredLayer, UnpackError> {
        // What is unpacked here is somebody's: whoever asks must be one who may read it now.
        (blob.open)().map(drop).map_err(UnpackError::Source)?;
        let name = name_of(blob);
        let lock = self.root.join("locks").join(&name);
        let mut is_new = false;
        loop {
            let used = take(&lock, Mode::Shared, cancelled)?;
            if let Some(mut layer) = self.stored(blob, used, now)? {
                layer.is_new = is_new;
                if !is_new {
                    budget.take_stored(layer.record.bytes, layer.record.entries)?;
                }
                return Ok(layer);
            }
            let alone = Lock::to_make(&lock).map_err(|error| disk(&lock, error))?;
            let Some(alone) = alone else { continue };
            let folder = self.layer_folder(&name);
            let record = Record::of_whole(&folder).map_err(|error| disk(&folder, error))?;
            if record.is_none() {
                self.make(blob, &name, budget, cancelled)?;
                is_new = true;
            }
            drop(alone);
        }
    }

    /// Removes layers that nobody uses, the longest unused first, until those that stay have at most `keep` bytes, and
    /// what processes that were killed and crashes of the machine left behind.
    pub fn sweep(&self, keep: u64) -> Pruned<Swept> {
        sweep::sweep(self, keep)
    }

    /// Syncs the layers that are not, all at once, which may take minutes: one that never was counts as absent after a crash of the
    /// machine.
    pub fn settle(&self) -> io::Result<()> {
        sweep::settle(self)
    }

    pub(super) fn marks(&self) -> Marks {
        self.marks
    }

    /// What containers' users are called outside.
    pub fn ids(&self) -> &IdMap {
        &self.ids
    }

    pub(super) fn folder(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(super) fn layer_folder(&self, name: &str) -> PathBuf {
        self.root.join("layers").join(name)
    }

    /// Removes a file or folder of the store: out of sight by one rename, then for good.
    pub(super) fn discard(&self, path: &Path) -> io::Result<()> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let trash = Tree::open(&self.root.join("trash"))?;
        loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}.{number}", std::process::id());
            match renameat_with(CWD, path, trash.fd(), &name, RenameFlags::NOREPLACE) {
                Ok(()) => return remove_tree(trash.fd(), name.as_bytes()),
                Err(Errno::NOENT) => return Ok(()),
                // Of a process that had this number before.
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn stored(
        &self,
        blob: &Blob<'_>,
        lock: Lock,
        now: SystemTime,
    ) -> Result<Option<StoredLayer>, UnpackError> {
        let folder = self.layer_folder(&name_of(blob));
        let disk = |error| disk(&folder, error);
        let Some(record) = Record::of_whole(&folder).map_err(disk)? else {
            return Ok(None);
        };
        lock.stamp(now).map_err(disk)?;
        Ok(Some(StoredLayer {
            diff_id: blob.diff_id,
            tree: Tree::open(&folder.join(TREE)).map_err(disk)?,
            path: folder.join(TREE),
            record,
            is_new: false,
            _lock: lock,
        }))
    }

    /// Unpacks a layer and puts it in its place by one rename, when all of it is there.
    fn make(
        &self,
        blob: &Blob<'_>,
        name: &str,
        budget: &Budget,
        cancelled: &CancellationToken,
    ) -> Result<(), UnpackError> {
        let incoming = self.root.join("incoming").join(name);
        let begin = || {
            // Of a process that was killed, or of a boot that ended: nobody else has the lock.
            self.discard(&incoming)?;
            self.discard(&self.layer_folder(name))?;
            std::fs::create_dir(&incoming)?;
            std::fs::create_dir(incoming.join(TREE))?;
            Tree::open(&incoming.join(TREE))
        };
        let tree = begin().map_err(|error| disk(&incoming, error))?;
        let made = self
            .unpack(blob, &tree, budget, cancelled)
            .and_then(|record| {
                let publish = || {
                    record.write(&incoming)?;
                    durable::mark(&incoming)?;
                    std::fs::rename(&incoming, self.layer_folder(name))
                };
                publish().map_err(|error| disk(&incoming, error))
            });
        if made.is_err() {
            // The reason is told; what cannot be removed now is swept later.
            let _ = self.discard(&incoming);
        }
        made
    }

    fn unpack(
        &self,
        blob: &Blob<'_>,
        tree: &Tree,
        budget: &Budget,
        cancelled: &CancellationToken,
    ) -> Result<Record, UnpackError> {
        let bytes = (blob.open)().map_err(UnpackError::Source)?;
        let algorithm = blob.diff_id.algorithm();
        let packed = blob.compression;
        let archive = Archive::new(bytes, packed, algorithm, budget, &self.root, cancelled);
        let archive = archive.map_err(UnpackError::from_reading)?;
        let unpacked = unpack(archive, tree, self.marks, &self.ids, budget)?;
        if unpacked.diff_id != blob.diff_id {
            return Err(UnpackError::WrongContent {
                expected: Box::new(blob.diff_id),
                found: Box::new(unpacked.diff_id),
            });
        }
        Ok(Record::of(&unpacked))
    }
}

impl std::fmt::Debug for Blob<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blob")
            .field("digest", &self.digest)
            .field("diff_id", &self.diff_id)
            .field("compression", &self.compression)
            .finish_non_exhaustive()
    }
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Layers that were removed.
    pub layers: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of the layers that stay.
    pub kept: u64,
    /// Builds' folders and half layers of processes that were killed, and layers that a crash of the machine may have damaged.
    pub leftovers: usize,
}

const TREE: &str = "tree";

/// The name of a layer in the store.
fn name_of(blob: &Blob<'_>) -> String {
    let text = format!("{}\n{}", blob.digest, blob.diff_id);
    Digest::of(Algorithm::Sha256, text.as_bytes()).hex()
}

fn take(lock: &Path, mode: Mode, cancelled: &CancellationToken) -> Result<Lock, UnpackError> {
    let taken = Lock::take(lock, mode, cancelled).map_err(|error| disk(lock, error))?;
    taken.ok_or(UnpackError::Cancelled)
}

fn disk(path: &Path, source: io::Error) -> UnpackError {
    UnpackError::Disk {
        path: path.display().to_string(),
        source,
    }
}
