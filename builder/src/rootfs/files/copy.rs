//! Copying files from one root into another.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::fs::{Mode, OFlags, openat, readlinkat};
use rustix::io::Errno;

use super::super::metadata::dress_file;
use super::super::place::Places;
use super::bring::entry;
use super::{Bounds, Files, FilesError, Owner, inside, pour};
use crate::archive::Kind;
use crate::s2i::ContainerPath;
use crate::tree::{FileKind, Stat, Tree, TreePath, names, stat};

impl Files {
    /// Copies a file or folder of `from` into the folder `into`, which is made; its name is kept, and all of it is `owner`'s.
    /// Folders become 0755, files 0644, or 0755 if anyone may execute them; links are copied as they are. What is
    /// neither is left out.
    pub(crate) fn copy(
        &self,
        from: &Self,
        source: &ContainerPath,
        into: &ContainerPath,
        owner: Owner,
        bounds: &Bounds<'_>,
    ) -> Result<(), FilesError> {
        let path = inside(source.as_str())?;
        let Some((above, name)) = path.split() else {
            return Err(FilesError::Refused(
                "the whole root cannot be copied".to_owned(),
            ));
        };
        let missing = || FilesError::Missing(path.to_string());
        let parent = match from.root.directory_in_root(&above) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Err(missing()),
            other => Tree::of(other.map_err(|error| FilesError::disk(&path, error))?),
        };
        if matches!(stat(parent.fd(), name), Err(Errno::NOENT)) {
            return Err(missing());
        }
        let folder = self.folder(&inside(into.as_str())?, owner, false)?;
        let of_owner = (owner.uid, owner.gid);
        let mut copying = Copying {
            places: Places::within(&folder, self.marks, of_owner, bounds.entries)?,
            owner,
            left: bounds.bytes,
            bounds,
        };
        // Paths from where it was, which are those where it goes too.
        let mut waiting = vec![TreePath::parse(name).map_err(|e| FilesError::refused(&path, e))?];
        while let Some(next) = waiting.pop() {
            bounds.check()?;
            waiting.extend(copying.one(&parent, &next)?);
        }
        Ok(())
    }
}

struct Copying<'a> {
    places: Places<'a>,
    owner: Owner,
    left: u64,
    bounds: &'a Bounds<'a>,
}

impl Copying<'_> {
    /// Copies one thing; of a folder, gives back what is in it.
    fn one(&mut self, from: &Tree, path: &TreePath) -> Result<Vec<TreePath>, FilesError> {
        let disk = |error: Errno| FilesError::disk(path, error);
        let Some((above, name)) = path.split() else {
            return Ok(Vec::new());
        };
        let parent = from.directory(&above).map_err(disk)?;
        let found = stat(parent.as_fd(), name).map_err(disk)?;
        match found.kind {
            FileKind::Directory => {
                let all = from.directory(path).map_err(disk)?;
                let all = names(all.as_fd()).map_err(|error| FilesError::disk(path, error))?;
                let below = |name: &Vec<u8>| {
                    let below = path.join(name);
                    below.map_err(|error| FilesError::refused(path, error))
                };
                let below = all.iter().map(below).collect();
                self.places
                    .directory(&entry(path.clone(), Kind::Directory, 0o755, self.owner))?;
                below
            }
            FileKind::Symlink => {
                let target = readlinkat(&parent, name, Vec::new()).map_err(disk)?;
                let kind = Kind::Symlink(target.into_bytes());
                let link = entry(path.clone(), kind, 0o777, self.owner);
                self.places.node(&link)?;
                Ok(Vec::new())
            }
            FileKind::Regular => {
                self.file(parent.as_fd(), name, path, &found)?;
                Ok(Vec::new())
            }
            _ => Ok(Vec::new()),
        }
    }

    fn file(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        path: &TreePath,
        found: &Stat,
    ) -> Result<(), FilesError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let source = openat(parent, name, flags, Mode::empty());
        let mut source = File::from(source.map_err(|error| FilesError::disk(path, error))?);
        let mode = if found.mode & 0o111 == 0 {
            0o644
        } else {
            0o755
        };
        let entry = entry(path.clone(), Kind::File(found.size), mode, self.owner);
        let mut file = self.places.file(&entry)?;
        let write = |bytes: &[u8]| file.write_all(bytes);
        pour(&mut source, &mut self.left, self.bounds, path, write)?;
        dress_file(&file, &entry).map_err(|error| FilesError::disk(path, error))
    }
}
