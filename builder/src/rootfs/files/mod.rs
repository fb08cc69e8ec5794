//! Files into and out of a root file system that is mounted for us alone.
//!
//! Everything here is done by the server, with its rights, in a tree that an image and a build have made: any directory may be
//! a link to anywhere. Links on the way to a place lead to where they do inside the root; below the place none leads
//! out of it.

mod bring;
mod copy;

use std::io::{self, Read};
use std::os::fd::AsFd as _;

use rustix::fs::{Gid, Uid, fchown};
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use super::UnpackError;
use super::error::OF_THE_LAYER;
use super::place::Places;
use crate::IdMap;
use crate::overlay::{Marks, Mount};
use crate::room::Written;
use crate::s2i::{ContainerPath, User};
use crate::sandbox::{look_up, plain};
use crate::tree::{Tree, TreePath, remove_tree};

/// A mounted root.
pub(crate) struct Files {
    mount: Mount,
    root: Tree,
    marks: Marks,
    ids: IdMap,
}

/// To whom files belong, by numbers outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    uid: u32,
    gid: u32,
}

/// How much may be brought in, and whether it is still wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds<'a> {
    /// Bytes of files' content.
    pub(crate) bytes: u64,
    /// Files and directories.
    pub(crate) entries: u64,
    /// Whoever asked for it no longer wants it.
    pub(crate) cancelled: &'a CancellationToken,
    /// Counts the bytes of files' content.
    pub(crate) written: &'a Written,
}

/// Why files were not brought in or taken out, by what can be done about it. What was brought before stays.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FilesError {
    /// Whoever asked for it no longer wants it.
    #[error("cancelled")]
    Cancelled,
    /// There is no such file.
    #[error("{0} is not there")]
    Missing(String),
    /// What comes, or where it goes, is not taken: the source, the script or the image must be changed.
    #[error("{0}")]
    Refused(String),
    /// It is larger than the limits allow.
    #[error("{0}")]
    TooLarge(String),
    /// This machine's disk did not allow it.
    #[error("{path}: {source}")]
    Disk {
        /// What.
        path: String,
        /// What the system says.
        source: io::Error,
    },
}

impl Files {
    pub(super) fn of(mount: Mount, marks: Marks, ids: IdMap) -> io::Result<Self> {
        let root = Tree::of(mount.fd().try_clone_to_owned()?);
        Ok(Self {
            mount,
            root,
            marks,
            ids,
        })
    }

    /// The container's root.
    pub(crate) fn root_user(&self) -> Result<Owner, FilesError> {
        self.named(0, 0)
    }

    /// A user of the image, looked up as for a process.
    pub(crate) fn owner(&self, user: &User) -> Result<Owner, FilesError> {
        let accounts = |path: &str| -> Result<String, FilesError> {
            let bytes = self.read(&inside(path)?, ACCOUNTS)?.unwrap_or_default();
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let (passwd, group) = (accounts("/etc/passwd")?, accounts("/etc/group")?);
        let (uid, gid) = look_up(user.as_str(), &passwd, &group).map_err(FilesError::Refused)?;
        self.named(uid, gid)
    }

    /// The content of a regular file, links followed inside; `None` if there is none.
    pub(crate) fn read(&self, path: &TreePath, limit: u64) -> Result<Option<Vec<u8>>, FilesError> {
        match self.mount.read(path, limit) {
            Ok(content) => Ok(Some(content)),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound
                | io::ErrorKind::NotADirectory
                | io::ErrorKind::InvalidInput => Ok(None),
                io::ErrorKind::FileTooLarge => Err(FilesError::TooLarge(format!(
                    "{path} is over {limit} bytes"
                ))),
                _ => Err(FilesError::disk(path, error)),
            },
        }
    }

    /// Whether there is a file, links followed inside.
    pub(crate) fn has(&self, path: &str) -> Result<bool, FilesError> {
        let path = inside(path)?;
        let found = self.mount.has(&path);
        found.map_err(|error| FilesError::disk(&path, error))
    }

    /// Removes a file or folder and all below it. What is not there is no error; a link is removed, not what it leads to.
    pub(crate) fn remove(&self, path: &ContainerPath) -> Result<(), FilesError> {
        let path = inside(path.as_str())?;
        let Some((above, name)) = path.split() else {
            return Err(FilesError::Refused("the root cannot be removed".to_owned()));
        };
        let parent = match self.root.directory_in_root(&above) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
            other => other.map_err(|error| FilesError::disk(&path, error))?,
        };
        remove_tree(parent.as_fd(), name).map_err(|error| FilesError::disk(&path, error))
    }

    /// Opens a folder, links followed inside; made if it is not there, and those above it, which are root's. One that is made
    /// is given to `owner`; one that was there only if `take_over`.
    fn folder(&self, at: &TreePath, owner: Owner, take_over: bool) -> Result<Tree, FilesError> {
        let is_there = self.root.directory_in_root(at).is_ok();
        let root = self.root_user()?;
        let mut places = Places::within(&self.root, self.marks, (root.uid, root.gid), MAX_ABOVE)?;
        let folder = places.directory_at(at)?;
        if take_over || !is_there {
            let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
            let given = fchown(&*folder, Some(uid), Some(gid));
            given.map_err(|error| FilesError::disk(at, error))?;
        }
        let folder = folder.try_clone();
        Ok(Tree::of(
            folder.map_err(|error| FilesError::disk(at, error))?,
        ))
    }

    fn named(&self, uid: u32, gid: u32) -> Result<Owner, FilesError> {
        let outside = |id: u32| {
            self.ids.outside(id).ok_or_else(|| {
                FilesError::Refused(format!(
                    "user or group {id} of the image is beyond the range of ids that the sandbox has"
                ))
            })
        };
        Ok(Owner {
            uid: outside(uid)?,
            gid: outside(gid)?,
        })
    }
}

impl Bounds<'_> {
    fn check(&self) -> Result<(), FilesError> {
        if self.cancelled.is_cancelled() {
            return Err(FilesError::Cancelled);
        }
        Ok(())
    }
}

impl FilesError {
    fn disk(path: &TreePath, error: impl Into<io::Error>) -> Self {
        Self::Disk {
            path: path.to_string(),
            source: error.into(),
        }
    }

    fn refused(path: &TreePath, why: impl std::fmt::Display) -> Self {
        Self::Refused(format!("{path}: {why}"))
    }
}

/// The words of archives and images must not reach a log as they are; paths are escaped already.
impl From<UnpackError> for FilesError {
    fn from(error: UnpackError) -> Self {
        match error {
            UnpackError::Cancelled => Self::Cancelled,
            UnpackError::Refused(why) => Self::Refused(plain(why.as_bytes())),
            UnpackError::TooLarge(why) => Self::TooLarge(plain(why.as_bytes())),
            UnpackError::Disk { path, source } => {
                let path = path.strip_suffix(OF_THE_LAYER).unwrap_or(&path).to_owned();
                Self::Disk { path, source }
            }
            UnpackError::Source(source) => Self::Disk {
                path: "what is brought in".to_owned(),
                source,
            },
            UnpackError::NoRoom(_) => Self::TooLarge(error.to_string()),
            UnpackError::WrongContent { .. } => Self::Refused(error.to_string()),
        }
    }
}

/// A container's path as one of its root.
pub(super) fn inside(path: &str) -> Result<TreePath, FilesError> {
    let parsed = TreePath::parse(path.as_bytes());
    parsed.map_err(|error| FilesError::Refused(format!("{}: {error}", path.escape_default())))
}

/// Reads `content` to its end into `take`, bounded and cancellable.
fn pour(
    content: &mut impl Read,
    left: &mut u64,
    bounds: &Bounds<'_>,
    path: &TreePath,
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<(), FilesError> {
    let mut buffer = vec![0; BUFFER];
    loop {
        bounds.check()?;
        let read = match content.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(FilesError::refused(
                    path,
                    "the archive ends in the middle of it",
                ));
            }
            Err(error) => return Err(FilesError::disk(path, error)),
        };
        *left = left.checked_sub(read as u64).ok_or_else(|| {
            let limit = bounds.bytes;
            FilesError::TooLarge(format!("{path}: all files together are over {limit} bytes"))
        })?;
        take(&buffer[..read]).map_err(|error| FilesError::disk(path, error))?;
        bounds.written.add(read as u64);
    }
}

/// `/etc/passwd` and `/etc/group` of an image.
const ACCOUNTS: u64 = 1 << 20;
/// A path has no more folders.
const MAX_ABOVE: u64 = 2048;
const BUFFER: usize = 256 << 10;
