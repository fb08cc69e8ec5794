//! Bringing files in.

use std::collections::BTreeMap;
use std::io::{Read, Write as _};

use super::super::metadata::dress_file;
use super::super::place::Places;
use super::{Bounds, Files, FilesError, Owner, inside, pour};
use crate::archive::{ArchiveError, Entry, Kind, Mtime, Reader, Xattrs};
use crate::s2i::ContainerPath;
use crate::tree::TreePath;

impl Files {
    /// Unpacks a tar into the folder `at`, which is `owner`'s then, as is all that comes. What is there stays unless it has
    /// the name of what comes. Nothing is written outside of the folder, whatever links the tar or the folder has.
    ///
    /// Set-user-ID bits and extended attributes are left out; devices and fifos are refused.
    pub(crate) fn unpack(
        &self,
        at: &ContainerPath,
        archive: impl Read,
        owner: Owner,
        without: &[TreePath],
        bounds: &Bounds<'_>,
    ) -> Result<(), FilesError> {
        let folder = self.folder(&inside(at.as_str())?, owner, true)?;
        let of_owner = (owner.uid, owner.gid);
        let mut places = Places::within(&folder, self.marks, of_owner, bounds.entries)?;
        let mut times = BTreeMap::new();
        let mut archive = Reader::new(archive);
        let mut left = bounds.bytes;
        while let Some(mut entry) = archive.next().map_err(|error| malformed(&error))? {
            bounds.check()?;
            if entry.path.is_root() || is_below(&entry.path, without) {
                continue;
            }
            if entry.path.names().any(|name| name.len() > MAX_NAME) {
                return Err(FilesError::refused(
                    &entry.path,
                    "a name in it is over 255 bytes",
                ));
            }
            (entry.uid, entry.gid) = of_owner;
            entry.mode &= 0o777;
            entry.xattrs = Xattrs::new();
            match entry.kind {
                Kind::Directory => {
                    places.directory(&entry)?;
                    times.insert(entry.path, entry.mtime);
                }
                Kind::File(_) => {
                    let mut file = places.file(&entry)?;
                    let write = |bytes: &[u8]| file.write_all(bytes);
                    pour(&mut archive, &mut left, bounds, &entry.path, write)?;
                    dress_file(&file, &entry).map_err(|e| FilesError::disk(&entry.path, e))?;
                }
                Kind::Symlink(_) | Kind::HardLink(_) => places.node(&entry)?,
                Kind::CharDevice(_) | Kind::BlockDevice(_) | Kind::Fifo => {
                    let why = "it is a device or a fifo, which are not taken";
                    return Err(FilesError::refused(&entry.path, why));
                }
            }
        }
        for (path, mtime) in &times {
            places.set_directory_time(path, *mtime)?;
        }
        Ok(())
    }

    /// Makes a file of `owner`. What has its name is replaced; if it is a link, not what it leads to. Folders above are made,
    /// the last one of them `owner`'s.
    pub(crate) fn write(
        &self,
        at: &ContainerPath,
        mut content: impl Read,
        mode: u32,
        owner: Owner,
        bounds: &Bounds<'_>,
    ) -> Result<(), FilesError> {
        let path = inside(at.as_str())?;
        let Some((above, name)) = path.split() else {
            return Err(FilesError::Refused("the root is no file".to_owned()));
        };
        let folder = self.folder(&above, owner, false)?;
        let name = TreePath::parse(name).map_err(|error| FilesError::refused(&path, error))?;
        let entry = entry(name, Kind::File(0), mode, owner);
        let mut places = Places::within(&folder, self.marks, (owner.uid, owner.gid), 1)?;
        let mut file = places.file(&entry)?;
        let mut left = bounds.bytes;
        let write = |bytes: &[u8]| file.write_all(bytes);
        pour(&mut content, &mut left, bounds, &path, write)?;
        dress_file(&file, &entry).map_err(|error| FilesError::disk(&path, error))
    }
}

/// Something without a past: its time is that of a source's files ([`crate::source::Snapshot::MTIME`]), whenever it is made.
pub(super) fn entry(path: TreePath, kind: Kind, mode: u32, owner: Owner) -> Entry {
    Entry {
        path,
        kind,
        mode,
        uid: owner.uid,
        gid: owner.gid,
        mtime: Mtime {
            seconds: crate::source::Snapshot::MTIME.cast_signed(),
            nanoseconds: 0,
        },
        xattrs: Xattrs::new(),
    }
}

fn malformed(error: &ArchiveError) -> FilesError {
    FilesError::Refused(error.to_string())
}

fn is_below(path: &TreePath, folders: &[TreePath]) -> bool {
    let names = || path.names();
    folders.iter().any(|folder| {
        let mut names = names();
        folder.names().all(|name| names.next() == Some(name))
    })
}

const MAX_NAME: usize = 255;
