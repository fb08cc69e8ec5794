//! System calls: the real ones on 64-bit Linux, stand-ins that lead to the read path elsewhere.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod linux;
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
pub(crate) use linux::*;

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
mod portable;
#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
pub(crate) use portable::*;

/// What a read that must not wait for the disk found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(all(target_os = "linux", target_pointer_width = "64")),
    expect(dead_code, reason = "always unknown there")
)]
pub(crate) enum Cached {
    /// This many bytes, 0 at the end of the file.
    Read(usize),
    /// The disk is needed.
    Miss,
    /// The file system does not say.
    Unknown,
}

/// Reads at `offset`, waiting for the disk if need be; 0 at the end of the file.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    loop {
        match file.read_at(buffer, offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}
