//! Extended attributes of files, by directory and name.

use std::os::fd::BorrowedFd;

use rustix::fs::{XattrFlags, lgetxattr, llistxattr, llistxattr_query, lsetxattr};
use rustix::io::Errno;

use super::through_proc;
use crate::archive::Xattrs;

/// Whether an attribute is part of an image, in both directions.
///
/// File capabilities, users' own attributes and access lists are what the files of an image mean. Not kept: marks of overlayfs
/// (`trusted.overlay.`, `user.overlay.`), which say how layers were stacked on one machine and could say it to the next;
/// other `trusted.` ones, which no container can see; `security.selinux`, `.ima`, `.apparmor` and their like, which are
/// the policy of the machine that they were written on and would be wrong, or refused, on another.
pub(crate) fn is_kept(name: &[u8]) -> bool {
    let own = name.starts_with(b"user.") && !name.starts_with(b"user.overlay.");
    own || matches!(
        name,
        b"security.capability" | b"system.posix_acl_access" | b"system.posix_acl_default"
    )
}

/// The attributes that are kept of `name` in `directory`; of the directory itself if the name is empty.
pub(crate) fn read(directory: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<Xattrs> {
    those(directory, name, is_kept)
}

/// All that there are.
pub(super) fn all(directory: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<Xattrs> {
    those(directory, name, |attribute| !attribute.is_empty())
}

fn those(
    directory: BorrowedFd<'_>,
    name: &[u8],
    is_meant: impl Fn(&[u8]) -> bool,
) -> rustix::io::Result<Xattrs> {
    let path = through_proc(directory, name);
    let mut list = Vec::new();
    // Between the two calls it may grow; `ERANGE` then, and on the tightest of file systems.
    loop {
        let size = match llistxattr_query(&path) {
            Err(Errno::OPNOTSUPP) => return Ok(Xattrs::new()),
            other => other?,
        };
        list.resize(size, 0);
        match llistxattr(&path, list.as_mut_slice()) {
            Err(Errno::RANGE) => {}
            other => {
                list.truncate(other?);
                break;
            }
        }
    }
    let names = list.split(|byte| *byte == 0);
    let mut found = Xattrs::new();
    for attribute in names.filter(|attribute| is_meant(attribute)) {
        if let Some(value) = get(directory, name, attribute)? {
            found.insert(attribute.to_vec(), value);
        }
    }
    Ok(found)
}

/// The value of one attribute, if it is there.
pub(crate) fn get(
    directory: BorrowedFd<'_>,
    name: &[u8],
    attribute: &[u8],
) -> rustix::io::Result<Option<Vec<u8>>> {
    let path = through_proc(directory, name);
    let mut value = vec![0; 256];
    loop {
        match lgetxattr(&path, attribute, value.as_mut_slice()) {
            Ok(size) => {
                value.truncate(size);
                return Ok(Some(value));
            }
            Err(Errno::NODATA | Errno::OPNOTSUPP) => return Ok(None),
            // 64 KiB is the most that Linux has.
            Err(Errno::RANGE) if value.len() < 1 << 16 => value.resize(1 << 16, 0),
            Err(error) => return Err(error),
        }
    }
}

/// Sets one attribute.
pub(crate) fn set(
    directory: BorrowedFd<'_>,
    name: &[u8],
    attribute: &[u8],
    value: &[u8],
) -> rustix::io::Result<()> {
    let path = through_proc(directory, name);
    lsetxattr(&path, attribute, value, XattrFlags::empty())
}

/// Renames users and groups in access lists (acl(5)): a version, then entries of tag, permissions and id, little-endian
/// (`struct posix_acl_xattr_entry` of Linux). `None` if one has no other name.
pub(crate) fn rename_in_access_lists(
    xattrs: &mut Xattrs,
    rename: impl Fn(u32) -> Option<u32>,
) -> Option<()> {
    const USER: u16 = 0x02;
    const GROUP: u16 = 0x08;
    let lists = xattrs.iter_mut();
    for (_, list) in lists.filter(|(name, _)| name.starts_with(b"system.posix_acl_")) {
        let entries = list.get_mut(4..).unwrap_or_default();
        for entry in entries.chunks_exact_mut(8) {
            // Others have no id.
            if matches!(u16::from_le_bytes([entry[0], entry[1]]), USER | GROUP) {
                let renamed = rename(little_endian(&entry[4..8]))?;
                entry[4..8].copy_from_slice(&renamed.to_le_bytes());
            }
        }
    }
    Some(())
}

pub(crate) fn little_endian(bytes: &[u8]) -> u32 {
    let bytes = bytes.iter().rev();
    bytes.fold(0, |number, byte| number << 8 | u32::from(*byte))
}
