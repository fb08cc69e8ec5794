//! One layer into one directory, in overlayfs's form.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::Arc;

use oci::Digest;

use super::UnpackError;
use super::decompress::Archive;
use super::limits::{Budget, Devices};
use super::metadata::{dress_file, outside};
use super::place::Places;
use crate::IdMap;
use crate::archive::{Entry, Kind, Mtime, Reader};
use crate::overlay::Marks;
use crate::tree::{Tree, TreePath};

/// What came of a layer.
pub(super) struct Unpacked {
    pub(super) diff_id: Digest,
    /// Bytes of the archive.
    pub(super) bytes: u64,
    /// Files and directories that were made.
    pub(super) entries: u64,
    /// Directories that the layer has something in and says nothing of.
    pub(super) implicit: Vec<TreePath>,
    /// Whether nothing below this layer is to be seen at all.
    pub(super) hides_all: bool,
}

/// Unpacks all of `archive` into the empty directory `root`.
pub(super) fn unpack(
    archive: Archive<'_>,
    root: &Tree,
    marks: Marks,
    ids: &IdMap,
    budget: &Budget,
) -> Result<Unpacked, UnpackError> {
    let mut layer = Layer {
        archive: Reader::new(archive),
        places: Places::new(root, marks, ids, 0)?.sharing(Arc::clone(&budget.entries)),
        devices: budget.limits.devices,
        times: BTreeMap::new(),
        hides_all: false,
        buffer: vec![0; BUFFER],
    };
    while let Some(mut entry) = layer.archive.next()? {
        outside(&mut entry, ids)?;
        layer.take(entry)?;
    }
    // A directory's time changes with every name in it, so it is set when there are no more.
    for (path, mtime) in &layer.times {
        layer.places.set_directory_time(path, *mtime)?;
    }
    let archive = layer.archive.into_inner();
    Ok(Unpacked {
        bytes: archive.written(),
        diff_id: archive.finish(),
        entries: layer.places.made(),
        implicit: layer.places.into_implicit(),
        hides_all: layer.hides_all,
    })
}

struct Layer<'a> {
    archive: Reader<Archive<'a>>,
    places: Places<'a>,
    devices: Devices,
    times: BTreeMap<TreePath, Mtime>,
    hides_all: bool,
    buffer: Vec<u8>,
}

impl Layer<'_> {
    fn take(&mut self, entry: Entry) -> Result<(), UnpackError> {
        let Some((parent, name)) = entry.path.split() else {
            self.places.root(&entry)?;
            self.times.insert(entry.path, entry.mtime);
            return Ok(());
        };
        let mut above = parent.names();
        if above.any(|name| name.starts_with(WHITEOUT)) {
            return Err(UnpackError::refused(
                &entry.path,
                "a whiteout is no directory",
            ));
        }
        if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            return self.white_out(&entry, &parent, hidden);
        }
        if name.len() > MAX_NAME {
            return Err(UnpackError::refused(
                &entry.path,
                "its name is over 255 bytes",
            ));
        }
        match entry.kind {
            Kind::Directory => {
                self.places.directory(&entry)?;
                self.times.insert(entry.path, entry.mtime);
                Ok(())
            }
            Kind::File(size) => self.file(&entry, size),
            Kind::CharDevice(_) | Kind::BlockDevice(_) => match self.devices {
                Devices::Skip => Ok(()),
                Devices::Refuse => Err(UnpackError::refused(&entry.path, "it is a device node")),
                Devices::Keep => self.places.node(&entry),
            },
            Kind::Symlink(_) | Kind::HardLink(_) | Kind::Fifo => self.places.node(&entry),
        }
    }

    /// Image-spec `layer.md`, Whiteouts. Nothing below is taken away in the directory itself: overlayfs does it when
    /// the layer lies above others.
    fn white_out(
        &mut self,
        entry: &Entry,
        parent: &TreePath,
        hidden: &[u8],
    ) -> Result<(), UnpackError> {
        if entry.kind == Kind::Directory {
            return Err(UnpackError::refused(
                &entry.path,
                "a whiteout is no directory",
            ));
        }
        if hidden == OPAQUE {
            if parent.is_root() {
                self.hides_all = true;
                return Ok(());
            }
            return self.places.opaque(parent);
        }
        // What aufs kept for itself in layers of the first years.
        if hidden.starts_with(WHITEOUT) {
            return Ok(());
        }
        let path = parent.join(hidden);
        let path = path.map_err(|_| UnpackError::refused(&entry.path, "it hides no name"))?;
        self.places.whiteout(&path)
    }

    fn file(&mut self, entry: &Entry, size: u64) -> Result<(), UnpackError> {
        let mut file = self.places.file(entry)?;
        let mut left = size;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX);
            let most = most.min(self.buffer.len());
            let read = self.archive.read(&mut self.buffer[..most]);
            let read = read.map_err(UnpackError::from_reading)?;
            let written = file.write_all(&self.buffer[..read]);
            written.map_err(|error| UnpackError::disk(&entry.path, error))?;
            left -= read as u64;
        }
        dress_file(&file, entry).map_err(|error| UnpackError::disk(&entry.path, error))
    }
}

/// Image-spec `layer.md`, Whiteouts: what stands in front of the name that is taken away.
const WHITEOUT: &[u8] = b".wh.";
/// Behind [`WHITEOUT`]: all that lower layers have in this directory.
const OPAQUE: &[u8] = b".wh..opq";
const MAX_NAME: usize = 255;
const BUFFER: usize = 256 << 10;
