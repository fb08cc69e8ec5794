//! What one name in a directory is: looked at, removed, made.

use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, FileType, Mode, makedev, mknodat, unlinkat};
use rustix::io::Errno;

use crate::archive::Device;
use crate::rootfs::UnpackError;
use crate::tree::{Stat, TreePath, stat};

pub(super) fn found(parent: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<Option<Stat>> {
    match stat(parent, name) {
        Err(Errno::NOENT) => Ok(None),
        other => other.map(Some),
    }
}

/// Removes what has this name; an empty directory as well.
pub(super) fn clear(
    parent: BorrowedFd<'_>,
    name: &[u8],
    path: &TreePath,
) -> Result<(), UnpackError> {
    let removed = match unlinkat(parent, name, AtFlags::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => unlinkat(parent, name, AtFlags::REMOVEDIR),
        other => other,
    };
    removed.map_err(|error| match error {
        Errno::NOTEMPTY | Errno::EXIST => {
            UnpackError::refused(path, "it would replace a directory that is not empty")
        }
        error => UnpackError::disk(path, error),
    })
}

pub(super) fn make_node(
    parent: BorrowedFd<'_>,
    name: &[u8],
    kind: FileType,
    device: Device,
) -> rustix::io::Result<()> {
    let device = makedev(device.major, device.minor);
    mknodat(parent, name, kind, Mode::from_raw_mode(0o600), device)
}
