//! How much an image's layers may be.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::UnpackError;
use crate::room::{NoRoom, Written};

/// What all layers of one image together may make of a disk, those that are there already counted. Beyond any of these it is
/// refused, and what was being unpacked is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the archives when they are decompressed.
    pub bytes: u64,
    /// Files and directories.
    pub entries: u64,
    /// How many times larger than it came one archive may become, once it is over 256 MiB. Layers of programs and texts
    /// shrink to a third; one of zeros shrinks a thousandfold with gzip and without end with zstd.
    pub ratio: u64,
    /// What becomes of device nodes.
    pub devices: Devices,
    /// Bytes of the disk that stay free: with less, nothing is unpacked.
    pub min_free: u64,
}

/// What becomes of the device nodes in a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Devices {
    /// They are left out, as podman does for an ordinary user: the runtime mounts a `/dev` of its own over them, and
    /// one elsewhere is nothing that a build should open.
    Skip,
    /// They are made. Not possible inside a user namespace.
    Keep,
    /// A layer that has one is refused.
    Refuse,
}

/// 32 GiB, a million entries, 200 times; device nodes are left out; the disk may become full.
impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 32 << 30,
            entries: 1_000_000,
            ratio: 200,
            devices: Devices::Skip,
            min_free: 0,
        }
    }
}

/// What is left of the limits for the layers of one image, which several threads unpack.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) limits: Limits,
    bytes: Left,
    pub(super) entries: Arc<Left>,
    written: Written,
}

impl Budget {
    /// What comes is counted in `written`.
    pub(super) fn new(limits: &Limits, written: &Written) -> Self {
        Self {
            limits: *limits,
            bytes: Left::new(limits.bytes),
            entries: Arc::new(Left::new(limits.entries)),
            written: written.clone(),
        }
    }

    /// So many bytes of an archive have come.
    pub(super) fn come(&self, count: u64) -> Result<(), UnpackError> {
        self.written.add(count);
        self.take_bytes(count)
    }

    fn take_bytes(&self, count: u64) -> Result<(), UnpackError> {
        if self.bytes.take(count) {
            return Ok(());
        }
        let most = self.limits.bytes;
        let text = format!("decompressed, the image's layers are over {most} bytes, the limit");
        Err(UnpackError::TooLarge(text))
    }

    /// A layer that is there already is as large as one that comes: which images are taken depends on nothing else.
    pub(super) fn take_stored(&self, bytes: u64, entries: u64) -> Result<(), UnpackError> {
        self.take_bytes(bytes)?;
        if self.entries.take(entries) {
            return Ok(());
        }
        let most = self.limits.entries;
        let text = format!("the image's layers have more than {most} entries, the limit");
        Err(UnpackError::TooLarge(text))
    }

    /// Whether there is room on the disk of `folder`.
    pub(super) fn look(&self, folder: &Path) -> Result<(), UnpackError> {
        match NoRoom::below(self.limits.min_free, folder) {
            Ok(None) => Ok(()),
            Ok(Some(no_room)) => Err(no_room.into()),
            Err(source) => Err(UnpackError::Disk {
                path: folder.display().to_string(),
                source,
            }),
        }
    }
}

/// What is left of a number.
#[derive(Debug)]
pub(super) struct Left(AtomicU64);

impl Left {
    pub(super) fn new(count: u64) -> Self {
        Self(AtomicU64::new(count))
    }

    /// Takes `count` of it; false if there is not so much.
    pub(super) fn take(&self, count: u64) -> bool {
        let taken = |left: u64| left.checked_sub(count);
        let order = Ordering::Relaxed;
        self.0.fetch_update(order, order, taken).is_ok()
    }
}

/// From where on the ratio counts: what is smaller harms nobody.
pub(super) const RATIO_FROM: u64 = 256 << 20;
