//! A file on disk as a layer would have it.

use std::os::fd::BorrowedFd;

use rustix::fs::readlinkat;

use super::ExportError;
use crate::IdMap;
use crate::archive::{Entry, Kind, Mtime, Xattrs};
use crate::tree::{FileKind, Stat, TreePath, xattr};

/// How files become entries.
pub(crate) struct Node<'a> {
    /// What owners are called in the layer.
    pub(crate) ids: &'a IdMap,
    /// No time in the layer is later, in seconds since 1970; `None`: times stay as they are.
    pub(crate) epoch: Option<i64>,
}

impl Node<'_> {
    /// The entry of `name` in `directory`; of the directory itself, if it is empty. A socket has none.
    ///
    /// Two files with the same entry, and the same content, are the same to whoever gets the layer.
    pub(crate) fn entry(
        &self,
        path: &TreePath,
        directory: BorrowedFd<'_>,
        name: &[u8],
        stat: &Stat,
    ) -> Result<Option<Entry>, ExportError> {
        let read = |error| ExportError::read(path, error);
        let kind = match stat.kind {
            FileKind::Regular => Kind::File(stat.size),
            FileKind::Directory => Kind::Directory,
            FileKind::Symlink => {
                let target = readlinkat(directory, name, Vec::new()).map_err(read)?;
                Kind::Symlink(target.into_bytes())
            }
            FileKind::CharDevice => Kind::CharDevice(stat.device),
            FileKind::BlockDevice => Kind::BlockDevice(stat.device),
            FileKind::Fifo => Kind::Fifo,
            FileKind::Socket => return Ok(None),
        };
        let xattrs = xattr::read(directory, name).map_err(read)?;
        let outside = |what: &str, id: u32| {
            ExportError::refused(path, format!("its {what} {id} is none of the container's"))
        };
        let uid = self.ids.inside(stat.uid);
        let gid = self.ids.inside(stat.gid);
        Ok(Some(Entry {
            path: path.clone(),
            kind,
            mode: stat.mode,
            uid: uid.ok_or_else(|| outside("user", stat.uid))?,
            gid: gid.ok_or_else(|| outside("group", stat.gid))?,
            mtime: self.time(stat.mtime),
            xattrs: self.attributes(path, xattrs)?,
        }))
    }

    /// Whole seconds from 1970 to the epoch: what every reader of archives understands, and the same for the same build.
    fn time(&self, mtime: Mtime) -> Mtime {
        match self.epoch {
            None => mtime,
            Some(epoch) => Mtime {
                seconds: mtime.seconds.min(epoch).max(0),
                nanoseconds: 0,
            },
        }
    }

    fn attributes(&self, path: &TreePath, mut found: Xattrs) -> Result<Xattrs, ExportError> {
        if found.keys().any(|name| name.contains(&b'=')) {
            let why = "an extended attribute's name has a '=' in it, which archives cannot have";
            return Err(ExportError::refused(path, why));
        }
        // A record without a value takes the attribute away where engines read it.
        found.retain(|_, value| !value.is_empty());
        if let Some(capability) = found.get_mut(CAPABILITY) {
            self.without_root_id(path, capability)?;
        }
        if xattr::rename_in_access_lists(&mut found, |id| self.ids.inside(id)).is_none() {
            let why = "its access list names somebody who is none of the container's";
            return Err(ExportError::refused(path, why));
        }
        Ok(found)
    }

    /// Capabilities that were set in a user namespace name its root (`VFS_CAP_REVISION_3`, capabilities(7)). In the
    /// image they belong to whatever root there will be: revision 2 has the same fields without the last.
    fn without_root_id(&self, path: &TreePath, value: &mut Vec<u8>) -> Result<(), ExportError> {
        if value.len() != 24 || value[3] != 3 {
            return Ok(());
        }
        if self.ids.inside(xattr::little_endian(&value[20..24])) != Some(0) {
            let why = "its capabilities belong to the root of another user namespace";
            return Err(ExportError::refused(path, why));
        }
        value[3] = 2;
        value.truncate(20);
        Ok(())
    }
}

const CAPABILITY: &[u8] = b"security.capability";
