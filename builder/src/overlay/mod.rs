//! overlayfs (kernel `Documentation/filesystems/overlayfs.rst`): how it marks what a layer takes away, and mounting it.

mod mount;
#[cfg(test)]
mod tests;
mod union;

pub use mount::Mount;
pub(crate) use mount::{Writable, detach_below, mount};
pub(crate) use union::{Found, Seen, Union};

use std::os::fd::BorrowedFd;

use crate::tree::{FileKind, Stat, xattr};

/// In which attributes a mount keeps its marks.
///
/// A layer's files only say what they mean to mounts of the same kind, and the marks of the other kind are a user's
/// business: never read both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Marks {
    /// `trusted.overlay.`: mounts of the initial user namespace.
    Trusted,
    /// `user.overlay.`: mounts with the option `userxattr`, the only kind inside other user namespaces.
    User,
}

/// What the attribute `opaque` says of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opaque {
    /// Layers below are seen through it.
    No,
    /// What layers below have here is hidden.
    Yes,
    /// Files in it may be whiteouts by attribute (`x`).
    HasWhiteouts,
}

impl Marks {
    /// The kind that this process's mounts have, by whether it is in the initial user namespace: the one whose map
    /// covers all ids as they are.
    pub fn of_this_process() -> std::io::Result<Self> {
        let map = std::fs::read_to_string("/proc/self/uid_map")?;
        let is_initial = map.split_whitespace().eq(["0", "0", "4294967295"]);
        Ok(if is_initial {
            Self::Trusted
        } else {
            Self::User
        })
    }

    /// `trusted` or `user`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::User => "user",
        }
    }

    /// The full name of a mark.
    pub(crate) fn attribute(self, mark: &str) -> Vec<u8> {
        format!("{}.overlay.{mark}", self.as_str()).into_bytes()
    }

    /// Marks a directory as hiding what is below it.
    pub(crate) fn set_opaque(
        self,
        directory: BorrowedFd<'_>,
        name: &[u8],
    ) -> rustix::io::Result<()> {
        xattr::set(directory, name, &self.attribute("opaque"), b"y")
    }

    /// Whether a directory hides what is below it.
    pub(crate) fn opaque(
        self,
        directory: BorrowedFd<'_>,
        name: &[u8],
    ) -> rustix::io::Result<Opaque> {
        let value = xattr::get(directory, name, &self.attribute("opaque"))?;
        Ok(match value.as_deref() {
            Some(b"y") => Opaque::Yes,
            Some(b"x") => Opaque::HasWhiteouts,
            _ => Opaque::No,
        })
    }

    /// Whether a file says that nothing of its name is to be seen: a device 0:0, or, where its directory announces such, an
    /// empty file with the attribute `whiteout`.
    pub(crate) fn is_whiteout(
        self,
        parent: Opaque,
        directory: BorrowedFd<'_>,
        name: &[u8],
        stat: &Stat,
    ) -> rustix::io::Result<bool> {
        if parent == Opaque::HasWhiteouts && stat.kind == FileKind::Regular && stat.size == 0 {
            let mark = xattr::get(directory, name, &self.attribute("whiteout"))?;
            return Ok(mark.is_some());
        }
        Ok(is_whiteout_device(stat))
    }
}

/// A character device 0:0: no device at all, and overlayfs's plain whiteout.
pub(crate) fn is_whiteout_device(stat: &Stat) -> bool {
    stat.kind == FileKind::CharDevice && stat.device.major == 0 && stat.device.minor == 0
}
