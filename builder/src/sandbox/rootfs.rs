//! Paths inside a root, followed without ever leaving it.
//!
//! A root is made of an image and of what earlier runs wrote: any of its directories may be a link to anywhere. So paths
//! are walked one component at a time from an open folder, links are read and followed inside the root, and what comes
//! out is a path without links, which is what the runtime is given. Nothing writes to the root meanwhile: its one
//! process has not started, or is gone.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Timespec, Timestamps};
use rustix::io::Errno;

use super::error::SandboxError;
use super::ids::SandboxIds;

#[cfg(test)]
mod tests;

/// As many links as the kernel follows (`path_resolution(7)`).
const MAX_LINKS: usize = 40;

/// An open root.
pub(super) struct Rootfs(OwnedFd);

/// A path that goes through no link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resolved {
    /// Absolute, inside the root.
    pub(super) path: PathBuf,
    /// What is there, if anything.
    pub(super) kind: Option<FileType>,
}

/// What was made in a root, to be taken away again.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// Outermost first.
    paths: Vec<PathBuf>,
    /// The folders that were there, in which something was made.
    above: BTreeMap<PathBuf, Times>,
}

/// When names in a folder were last changed: before something was made in it, and by that.
#[derive(Debug)]
struct Times {
    before: Timespec,
    after: Timespec,
}

impl Made {
    fn touch(&mut self, folder: &Path, before: Timespec, after: Timespec) {
        if self.paths.iter().any(|made| made == folder) {
            return;
        }
        let times = Times { before, after };
        let times = self.above.entry(folder.to_owned()).or_insert(times);
        times.after = after;
    }
}

fn modified(folder: &OwnedFd) -> Result<Timespec, Errno> {
    let stat = rustix::fs::fstat(folder)?;
    Ok(Timespec {
        tv_sec: stat.st_mtime,
        tv_nsec: stat.st_mtime_nsec.cast_signed(),
    })
}

impl Rootfs {
    /// Opens the folder `path`, of the host.
    pub(super) fn open(path: &Path) -> Result<Self, SandboxError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(path, flags, Mode::empty());
        let folder = folder.map_err(SandboxError::io(format!(
            "open the root {}",
            path.display()
        )))?;
        Ok(Self(folder))
    }

    /// Follows the links of an absolute path as a process inside would.
    pub(super) fn resolve(&self, path: &Path) -> Result<Resolved, SandboxError> {
        let refuse = |why: &str| SandboxError::refused(format!("{} {why}", path.display()));
        let mut done = PathBuf::from("/");
        let mut kind = Some(FileType::Directory);
        let mut left: VecDeque<OsString> = components(path);
        let mut links = 0;
        while let Some(name) = left.pop_front() {
            if name == ".." {
                done.pop();
                continue;
            }
            let next = done.join(&name);
            let found = match self.open_at(&next, OFlags::PATH | OFlags::NOFOLLOW) {
                Ok(found) => found,
                Err(Errno::NOENT) => {
                    kind = None;
                    done = next;
                    continue;
                }
                Err(Errno::NOTDIR) => {
                    return Err(refuse("goes through something that is no folder"));
                }
                Err(error) => return Err(refuse(&format!("cannot be followed: {error}"))),
            };
            let stat = rustix::fs::fstat(&found).map_err(SandboxError::io("stat in the root"))?;
            let file_type = FileType::from_raw_mode(stat.st_mode);
            if file_type == FileType::Symlink {
                links += 1;
                if links > MAX_LINKS {
                    return Err(refuse("goes through more than 40 links"));
                }
                let target = rustix::fs::readlinkat(&found, c"", Vec::new())
                    .map_err(SandboxError::io("read a link in the root"))?;
                let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                if target.is_absolute() {
                    done = PathBuf::from("/");
                }
                for component in components(&target).into_iter().rev() {
                    left.push_front(component);
                }
                kind = Some(FileType::Directory);
                continue;
            }
            kind = Some(file_type);
            done = next;
        }
        Ok(Resolved { path: done, kind })
    }

    /// The text of a small regular file; None if there is no such file.
    pub(super) fn read(&self, path: &Path, limit: u64) -> Result<Option<String>, SandboxError> {
        let resolved = self.resolve(path)?;
        if resolved.kind != Some(FileType::RegularFile) {
            return Ok(None);
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW;
        let what = || format!("read {} in the root", path.display());
        let file = self.open_at(&resolved.path, flags);
        let file = std::fs::File::from(file.map_err(SandboxError::io(what()))?);
        let mut bytes = Vec::new();
        file.take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(SandboxError::io(what()))?;
        if bytes.len() as u64 > limit {
            let message = format!(
                "{} in the root is larger than {limit} bytes",
                path.display()
            );
            return Err(SandboxError::refused(message));
        }
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Makes an empty folder or file at a resolved path, with the folders above it, and notes in `made` what.
    pub(super) fn make(
        &self,
        path: &Path,
        folder: bool,
        ids: Option<&SandboxIds>,
        made: &mut Made,
    ) -> Result<(), SandboxError> {
        let what = || format!("make the mount point {} in the root", path.display());
        let mut ancestors: Vec<_> = path.ancestors().collect();
        ancestors.pop();
        for place in ancestors.into_iter().rev() {
            let above = place.parent().unwrap_or(Path::new("/"));
            let name = place.file_name().unwrap_or(OsStr::new("."));
            let parent = self.open_at(above, OFlags::PATH | OFlags::DIRECTORY);
            let parent = parent.map_err(SandboxError::io(what()))?;
            let before = modified(&parent).map_err(SandboxError::io(what()))?;
            let answer = if place == path && !folder {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
                rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o644)).map(drop)
            } else {
                rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755))
            };
            match answer {
                Ok(()) => made.paths.push(place.to_owned()),
                Err(Errno::EXIST) => continue,
                Err(error) => return Err(SandboxError::io(what())(error)),
            }
            let after = modified(&parent).map_err(SandboxError::io(what()))?;
            made.touch(above, before, after);
            if let Some(root) = ids.and_then(|ids| ids.outside(0)) {
                let uid = rustix::fs::Uid::from_raw(root);
                let gid = rustix::fs::Gid::from_raw(root);
                let flags = AtFlags::SYMLINK_NOFOLLOW;
                rustix::fs::chownat(&parent, name, Some(uid), Some(gid), flags)
                    .map_err(SandboxError::io(what()))?;
            }
        }
        Ok(())
    }

    /// Removes what [`Rootfs::make`] made, as far as it is still empty and in its place; returns what is not. A folder in
    /// which nobody else has changed a name has the time again that it had: else it would be in the layer.
    pub(super) fn unmake(&self, made: Made) -> Vec<PathBuf> {
        let open = |path: &Path| self.open_at(path, OFlags::RDONLY | OFlags::DIRECTORY);
        let untouched = |(path, times): (PathBuf, Times)| {
            let folder = open(&path).ok()?;
            (modified(&folder).ok()? == times.after).then_some((folder, times.before))
        };
        let untouched: Vec<_> = made.above.into_iter().filter_map(untouched).collect();
        let remains = |path: &PathBuf| match self.remove_empty(path) {
            Ok(()) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => false,
            Err(_) => true,
        };
        let left = made.paths.into_iter().rev().filter(remains).collect();
        for (folder, before) in untouched {
            let times = Timestamps {
                last_access: before,
                last_modification: before,
            };
            // Another time than it had is no harm but an entry more.
            let _ = rustix::fs::futimens(&folder, &times);
        }
        left
    }

    fn remove_empty(&self, path: &Path) -> Result<(), Errno> {
        let parent = path.parent().unwrap_or(Path::new("/"));
        let name = path.file_name().ok_or(Errno::INVAL)?;
        let parent = self.open_at(parent, OFlags::PATH | OFlags::DIRECTORY)?;
        let stat = rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR),
            FileType::RegularFile if stat.st_size == 0 => {
                rustix::fs::unlinkat(&parent, name, AtFlags::empty())
            }
            _ => Err(Errno::NOTEMPTY),
        }
    }

    /// Opens a path that must go through no link at all.
    fn open_at(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let inside = path.strip_prefix("/").unwrap_or(path);
        let inside = if inside.as_os_str().is_empty() {
            Path::new(".")
        } else {
            inside
        };
        // With O_PATH | O_NOFOLLOW the last component may be a link: it is opened itself.
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let flags = flags | OFlags::CLOEXEC;
        rustix::fs::openat2(&self.0, inside, flags, Mode::empty(), resolve)
    }
}

fn components(path: &Path) -> VecDeque<OsString> {
    let name = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(name).collect()
}
