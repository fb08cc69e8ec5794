//! Files without a name, which no crash leaves behind.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};

/// A file without a name in a folder, to be written and read. Its mode is that of any other file of this process: it may become a
/// blob of the registry (`O_TMPFILE` and linkat(2)).
pub(crate) fn unnamed(folder: &Path) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match openat(CWD, folder, flags, Mode::from_raw_mode(0o666)) {
        Ok(file) => Ok(file.into()),
        // Not every file system has such files.
        Err(_) => tempfile::tempfile_in(folder),
    }
}
