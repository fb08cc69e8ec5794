//! The root file system of one build.

use std::io;
use std::path::{Path, PathBuf};

use super::lock::{Lock, Mode};
use super::scaffold::{like_root, scaffold};
use super::{Files, LayerStore, StoredLayer, UnpackError};
use crate::layer::Changes;
use crate::overlay::{Mount, Writable, mount};
use crate::tree::{Tree, TreePath};

/// Base layers with an upper directory on them, for one build. It holds the layers; [`Rootfs::remove`] ends it, and
/// [`LayerStore::sweep`] if the process is killed before.
#[derive(Debug)]
pub struct Rootfs<'a> {
    store: &'a LayerStore,
    folder: PathBuf,
    /// The lowest first, without those that are hidden altogether.
    layers: Vec<StoredLayer>,
    scaffold: Tree,
    upper: Tree,
    work: Tree,
    lock: Option<Lock>,
}

impl<'a> Rootfs<'a> {
    /// Stacks `layers`, the lowest first. `name` is the build's own, a plain file name; that something of it is there
    /// already is an error. `mountpoints` are directories that the runtime will mount something on: those that no layer has
    /// are there for it, and not in what the build changed.
    pub fn prepare(
        store: &'a LayerStore,
        name: &str,
        mut layers: Vec<StoredLayer>,
        mountpoints: &[TreePath],
    ) -> Result<Self, UnpackError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if name.is_empty() || name.len() > 200 || !name.bytes().all(is_plain) {
            let why = "the name of a build's folder is letters, digits, '-' and '_', at most 200";
            return Err(UnpackError::Refused(why.to_owned()));
        }
        if let Some(hides) = layers.iter().rposition(|layer| layer.record.hides_all) {
            layers.drain(..hides);
        }
        let layers = without_repeats(layers);
        let folder = store.folder("runs").join(name);
        let disk = |error| UnpackError::Disk {
            path: folder.display().to_string(),
            source: error,
        };
        let (lock, [scaffold_tree, upper, work]) = begin(&folder).map_err(disk)?;
        let rootfs = Self {
            store,
            layers,
            scaffold: scaffold_tree,
            upper,
            work,
            lock: Some(lock),
            folder,
        };
        rootfs.dress(mountpoints)?;
        Ok(rootfs)
    }

    /// Mounts it, for any number of times one after the other. What is changed in it stays.
    pub fn mount(&self) -> io::Result<Mount> {
        self.unmark()?;
        let lower: Vec<_> = self.lower().into_iter().map(Tree::fd).collect();
        let writable = Writable {
            upper: self.upper.fd(),
            work: self.work.fd(),
        };
        mount(
            &lower,
            Some(writable),
            self.store.marks(),
            &self.mountpoint(),
        )
    }

    /// The same in paths, for who mounts it where its processes are, next.
    pub fn folders(&self) -> io::Result<Folders> {
        self.unmark()?;
        let layers = self.layers.iter().rev().map(StoredLayer::path);
        let scaffold = self.folder.join(SCAFFOLD);
        Ok(Folders {
            lower: std::iter::once(scaffold)
                .chain(layers.map(Path::to_path_buf))
                .collect(),
            upper: self.folder.join(UPPER),
            work: self.folder.join(WORK),
        })
    }

    /// Mounts it for ourselves, to bring files in and take them out. Nothing may run in it meanwhile.
    pub(crate) fn files(&self) -> io::Result<Files> {
        Files::of(self.mount()?, self.store.marks(), self.store.ids().clone())
    }

    /// An empty directory to attach a mount to; swept with the rest.
    pub fn mountpoint(&self) -> PathBuf {
        self.folder.join(MOUNTED)
    }

    /// What the build changed so far. Nothing may run in it any more.
    pub fn changes(&self) -> Changes<'_> {
        Changes::new(&self.upper, self.lower(), self.store.marks())
    }

    /// Removes all of it. Every mount of it must be gone.
    pub fn remove(mut self) -> io::Result<()> {
        self.discard()
    }

    /// The kernel marks the work directory of a mount whose syncs are not waited for, lest another trusts what a crash
    /// may have lost. Here all mounts are of one running machine.
    fn unmark(&self) -> io::Result<()> {
        match std::fs::remove_dir_all(self.folder.join("work/work/incompat")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// All that lies below the upper directory, the topmost first.
    fn lower(&self) -> Vec<&Tree> {
        let layers = self.layers.iter().rev().map(StoredLayer::tree);
        std::iter::once(&self.scaffold).chain(layers).collect()
    }

    fn dress(&self, mountpoints: &[TreePath]) -> Result<(), UnpackError> {
        let layers: Vec<_> = self.layers.iter().rev().collect();
        let marks = self.store.marks();
        let ids = self.store.ids();
        scaffold(&self.scaffold, &layers, marks, ids, mountpoints)?;
        // The root of an overlay has the metadata of its upper directory. The scaffold has those of the layers.
        like_root(&self.scaffold, &self.upper, marks, ids)
    }

    fn discard(&mut self) -> io::Result<()> {
        let Some(_lock) = self.lock.take() else {
            return Ok(());
        };
        self.store.discard(&self.folder)?;
        std::fs::remove_file(self.folder.with_extension(LOCK))
    }
}

impl Drop for Rootfs<'_> {
    fn drop(&mut self) {
        // What cannot be removed now is swept later.
        let _ = self.discard();
    }
}

/// Leaves out all but the topmost of layers that are the same: overlayfs takes no directory twice, and what the
/// topmost adds and hides, it adds and hides whatever the others did.
fn without_repeats(layers: Vec<StoredLayer>) -> Vec<StoredLayer> {
    let mut seen = std::collections::HashSet::new();
    let mut kept: Vec<_> = layers
        .into_iter()
        .rev()
        .filter(|layer| seen.insert(*layer.diff_id()))
        .collect();
    kept.reverse();
    kept
}

/// What an overlay is made of. Its features `redirect_dir`, `metacopy` and `index` must be off, or it cannot be exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folders {
    /// What is only read, the topmost first.
    pub lower: Vec<PathBuf>,
    /// Where changes go.
    pub upper: PathBuf,
    /// overlayfs's own.
    pub work: PathBuf,
}

fn begin(folder: &Path) -> io::Result<(Lock, [Tree; 3])> {
    let lock = Lock::try_take(&folder.with_extension(LOCK), Mode::Exclusive)?;
    let lock = lock.ok_or(io::ErrorKind::AlreadyExists)?;
    std::fs::create_dir(folder)?;
    for name in [SCAFFOLD, UPPER, WORK, MOUNTED] {
        std::fs::create_dir(folder.join(name))?;
    }
    let open = |name| Tree::open(&folder.join(name));
    Ok((lock, [open(SCAFFOLD)?, open(UPPER)?, open(WORK)?]))
}

const SCAFFOLD: &str = "scaffold";
const UPPER: &str = "upper";
const WORK: &str = "work";
const MOUNTED: &str = "mounted";
const LOCK: &str = "lock";
