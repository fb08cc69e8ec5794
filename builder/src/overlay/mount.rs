//! Mounting layers on top of each other.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, OpenTreeFlags,
    UnmountFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen,
    move_mount, open_tree, unmount,
};

use super::Marks;
use crate::tree::{FileKind, TreePath, open_within, stat};

/// A mounted file system that nothing else knows of: it has no place in the tree of mounts, so it ends with the file
/// descriptor, also when the process is killed.
#[derive(Debug)]
pub struct Mount {
    fd: OwnedFd,
    at: Option<PathBuf>,
}

impl Mount {
    /// Its root directory, for calls that take one (`O_PATH`: to list it, it must be opened).
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Reads a file as a process whose root this is would find it: symbolic links lead to where they do inside. What is no
    /// regular file is an error of kind `InvalidInput`, what is longer than `limit` bytes one of kind `FileTooLarge`.
    pub fn read(&self, path: &TreePath, limit: u64) -> io::Result<Vec<u8>> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        // A fifo would wait for a writer.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = open_within(self.fd(), path.as_bytes(), flags, resolve)?;
        if stat(file.as_fd(), b"")?.kind != FileKind::Regular {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut content = Vec::new();
        File::from(file).take(limit + 1).read_to_end(&mut content)?;
        if content.len() as u64 > limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(content)
    }

    /// Whether something is there for a process whose root this is; a link that leads nowhere is nothing.
    pub fn has(&self, path: &TreePath) -> io::Result<bool> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        match open_within(self.fd(), path.as_bytes(), flags, resolve) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives it a place, a directory, for programs that want a path. It stays there until this is dropped; when the
    /// process is killed before, until it is swept, unless the mount namespace dies with it.
    pub fn attach(&mut self, at: &Path) -> io::Result<()> {
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        move_mount(&self.fd, "", rustix::fs::CWD, at, flags)?;
        self.at = Some(at.to_path_buf());
        Ok(())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if let Some(at) = &self.at {
            // Detached, it goes when its last user does; there is nothing to do about an error.
            let _ = unmount(at, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
        }
    }
}

/// Where a mount puts what is changed in it.
#[derive(Clone, Copy)]
pub(crate) struct Writable<'a> {
    /// What was changed.
    pub(crate) upper: BorrowedFd<'a>,
    /// An empty directory of the same file system.
    pub(crate) work: BorrowedFd<'a>,
}

/// Mounts `lower`, the topmost first, on Linux 5.11 or newer, below `writable`. Without that, there must be two of `lower` at least. `place` is
/// an empty directory, used in passing where the kernel is older than 6.7.
///
/// Directories are not redirected and metadata is not copied without its data, whatever the kernel was configured for: a
/// layer made of such an upper directory would be unreadable anywhere else. Syncs in it are not waited for (`volatile`):
/// what a build leaves is read back through the same kernel, or thrown away.
pub(crate) fn mount(
    lower: &[BorrowedFd<'_>],
    writable: Option<Writable<'_>>,
    marks: Marks,
    place: &Path,
) -> io::Result<Mount> {
    let options = options(writable, marks);
    let fd = match one_by_one(lower, &options)? {
        Some(fd) => fd,
        None => all_at_once(lower, &options, place)?,
    };
    Ok(Mount { fd, at: None })
}

/// All options but the lower directories: key and value, or a flag.
pub(super) fn options(
    writable: Option<Writable<'_>>,
    marks: Marks,
) -> Vec<(&'static str, Option<String>)> {
    let off = || Some("off".to_owned());
    let mut options = vec![
        ("redirect_dir", Some("nofollow".to_owned())),
        ("metacopy", off()),
        ("index", off()),
    ];
    if marks == Marks::User {
        options.push(("userxattr", None));
    }
    if let Some(Writable { upper, work }) = writable {
        options.push(("upperdir", Some(path_of(upper))));
        options.push(("workdir", Some(path_of(work))));
        options.push(("volatile", None));
    }
    options
}

/// Names the lower directories one by one, as many as there are. `None` if the kernel cannot: 6.5 and 6.6 refuse the option, and those before
/// take any, and refuse the mount without a word of why.
pub(super) fn one_by_one(
    lower: &[BorrowedFd<'_>],
    options: &[(&str, Option<String>)],
) -> io::Result<Option<OwnedFd>> {
    let fs = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (index, layer) in lower.iter().enumerate() {
        match fsconfig_set_string(&fs, "lowerdir+", path_of(*layer)) {
            Err(Errno::INVAL) if index == 0 => return Ok(None),
            other => explained(&fs, other)?,
        }
    }
    explained(&fs, fsconfig_set_string(&fs, "source", "overlay"))?;
    for (key, value) in options {
        let result = match value {
            Some(value) => fsconfig_set_string(&fs, *key, value),
            None => fsconfig_set_flag(&fs, *key),
        };
        explained(&fs, result)?;
    }
    match fsconfig_create(&fs) {
        Err(Errno::INVAL) => {
            let words = explanation(&fs);
            if words.is_empty() {
                return Ok(None);
            }
            return Err(failed(Errno::INVAL, &words));
        }
        other => explained(&fs, other)?,
    }
    let attributes = MountAttrFlags::empty();
    Ok(Some(fsmount(
        &fs,
        FsMountFlags::FSMOUNT_CLOEXEC,
        attributes,
    )?))
}

/// All options in one text, which may be one page long: as paths of descriptors, 150 layers fit. Such a mount needs a
/// place; it is taken from it at once.
pub(super) fn all_at_once(
    lower: &[BorrowedFd<'_>],
    options: &[(&str, Option<String>)],
    place: &Path,
) -> io::Result<OwnedFd> {
    let lower: Vec<_> = lower.iter().map(|layer| path_of(*layer)).collect();
    let mut text = format!("lowerdir={}", lower.join(":"));
    for (key, value) in options {
        text.push(',');
        text.push_str(key);
        if let Some(value) = value {
            text.push('=');
            text.push_str(value);
        }
    }
    let text = CString::new(text)?;
    rustix::mount::mount("overlay", place, "overlay", MountFlags::empty(), &*text)?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let taken = open_tree(rustix::fs::CWD, place, flags);
    unmount(place, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)?;
    Ok(taken?)
}

/// A path that is short, needs no escaping and means this directory whatever is renamed.
fn path_of(directory: BorrowedFd<'_>) -> String {
    format!("/proc/thread-self/fd/{}", directory.as_raw_fd())
}

/// Adds what the kernel has to say about a refused mount.
fn explained(fs: &OwnedFd, result: rustix::io::Result<()>) -> io::Result<()> {
    result.map_err(|error| failed(error, &explanation(fs)))
}

fn failed(error: Errno, words: &str) -> io::Error {
    let error = io::Error::from(error);
    io::Error::new(error.kind(), format!("overlayfs: {error}: {words}"))
}

/// The lines that the kernel leaves in the descriptor.
fn explanation(fs: &OwnedFd) -> String {
    let mut lines = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(read) = rustix::io::read(fs, &mut buffer) {
        if read == 0 || lines.len() == 8 {
            break;
        }
        lines.push(String::from_utf8_lossy(&buffer[..read]).trim().to_owned());
    }
    lines.join("; ")
}

/// Takes away what is mounted below `directory`, left there by a process that was killed. Says how many mounts there were.
pub(crate) fn detach_below(directory: &Path) -> io::Result<usize> {
    let directory = directory.canonicalize()?;
    let table = std::fs::read("/proc/self/mountinfo")?;
    let points = table.split(|byte| *byte == b'\n').filter_map(mount_point);
    let below: Vec<_> = points
        .filter(|point| point.starts_with(&directory) && *point != directory)
        .collect();
    // What was mounted last may stand on what was mounted before.
    for point in below.iter().rev() {
        match unmount(point, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            // Gone with what it stood on.
            Ok(()) | Err(Errno::INVAL | Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(below.len())
}

/// The fifth field of a line (proc(5)), in which blanks and backslashes are octal escapes.
fn mount_point(line: &[u8]) -> Option<PathBuf> {
    let field = line.split(|byte| *byte == b' ').nth(4)?;
    let mut path = Vec::with_capacity(field.len());
    let mut bytes = field.iter();
    while let Some(byte) = bytes.next() {
        if *byte != b'\\' {
            path.push(*byte);
            continue;
        }
        let digits = bytes.by_ref().take(3);
        path.push(digits.fold(0_u8, |number, digit| {
            number
                .wrapping_mul(8)
                .wrapping_add(digit.wrapping_sub(b'0'))
        }));
    }
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(&path)))
}
