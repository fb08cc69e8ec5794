//! Giving files the metadata that their entries have.
//!
//! Owner before capabilities and mode, as a change of owner drops both; time last, as all else changes it.

use std::fs::File;
use std::os::fd::BorrowedFd;

use rustix::fs::{
    AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat, fchmod, fchown,
    fsetxattr, futimens, utimensat,
};

use super::UnpackError;
use crate::IdMap;
use crate::archive::{Entry, Kind, Mtime};
use crate::tree::xattr;

/// Gives the owners of an entry the names that they have outside of the container.
pub(super) fn outside(entry: &mut Entry, ids: &IdMap) -> Result<(), UnpackError> {
    let mut rename = || {
        entry.uid = ids.outside(entry.uid)?;
        entry.gid = ids.outside(entry.gid)?;
        xattr::rename_in_access_lists(&mut entry.xattrs, |id| ids.outside(id))
    };
    let why = "it belongs to a user or group beyond those that containers have here";
    rename().ok_or_else(|| UnpackError::refused(&entry.path, why))
}

/// Gives a file that was written all its metadata.
pub(super) fn dress_file(file: &File, entry: &Entry) -> rustix::io::Result<()> {
    let (user, group) = owner(entry);
    fchown(file, Some(user), Some(group))?;
    for (name, value) in kept(entry) {
        fsetxattr(file, name, value, XattrFlags::empty())?;
    }
    fchmod(file, Mode::from_raw_mode(entry.mode))?;
    futimens(file, &times(entry.mtime))
}

/// Gives `name` in `directory`, or the directory itself if it is empty, all but its time.
pub(super) fn dress(
    directory: BorrowedFd<'_>,
    name: &[u8],
    entry: &Entry,
) -> rustix::io::Result<()> {
    let itself = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH;
    let (user, group) = owner(entry);
    chownat(directory, name, Some(user), Some(group), itself)?;
    for (attribute, value) in kept(entry) {
        xattr::set(directory, name, attribute, value)?;
    }
    let mode = Mode::from_raw_mode(entry.mode);
    match entry.kind {
        // Links have no mode.
        Kind::Symlink(_) => Ok(()),
        // fchmodat(2) takes no empty path; the directory is open.
        _ if name.is_empty() => fchmod(directory, mode),
        // Just made by us, and no symbolic link.
        _ => chmodat(directory, name, mode, AtFlags::empty()),
    }
}

/// Gives what is no directory its time.
pub(super) fn set_time(
    directory: BorrowedFd<'_>,
    name: &[u8],
    mtime: Mtime,
) -> rustix::io::Result<()> {
    utimensat(directory, name, &times(mtime), AtFlags::SYMLINK_NOFOLLOW)
}

/// An instant as time of access and of change.
pub(super) fn times(mtime: Mtime) -> Timestamps {
    let time = Timespec {
        tv_sec: mtime.seconds,
        tv_nsec: mtime.nanoseconds.into(),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

/// The reader takes no id that is `-1`, which chown(2) would read as "leave it".
fn owner(entry: &Entry) -> (Uid, Gid) {
    (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid))
}

fn kept(entry: &Entry) -> impl Iterator<Item = (&[u8], &[u8])> {
    let all = entry.xattrs.iter();
    all.filter(|(name, _)| xattr::is_kept(name))
        .map(|(name, value)| (&**name, &**value))
}
