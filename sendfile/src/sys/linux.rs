use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::num::NonZeroU64;
use std::ptr;

use rustix::fs::Advice;
use rustix::io::{Errno, ReadWriteFlags};
use rustix::mm::{MapFlags, ProtFlags};
use rustix::net::{SendAncillaryBuffer, SendFlags};
use tokio::net::TcpStream;

use super::Cached;
use crate::window::Access;

/// Reserves `size` bytes of address space for the life of the process. Takes no memory.
#[expect(unsafe_code, reason = "maps memory")]
pub(crate) fn reserve(size: usize, access: Access) -> io::Result<&'static [u8]> {
    let rights = match access {
        Access::Fault => ProtFlags::empty(),
        Access::Zeros => ProtFlags::READ,
    };
    // SAFETY: a new anonymous mapping at an address of the kernel's choice (no MAP_FIXED)
    // replaces nothing that exists.
    let base = unsafe {
        rustix::mm::mmap_anonymous(
            ptr::null_mut(),
            size,
            rights,
            MapFlags::PRIVATE | MapFlags::NORESERVE,
        )
    }?;
    // SAFETY: `base` is the page-aligned, non-null start of `size` (at most 64 GiB, below
    // `isize::MAX`) mapped bytes that are never unmapped nor, for want of write permission,
    // changed; anonymous pages read as zeros, so every byte is initialised. With `Access::Fault`
    // the bytes cannot be read: that is for debug builds, where a read is meant to fault, and
    // nothing here reads. A slice carries no `dereferenceable` attribute that would let the
    // compiler read on its own account.
    Ok(unsafe { std::slice::from_raw_parts(base.cast::<u8>(), size) })
}

/// Sends what file content will follow, so that both share a packet.
pub(crate) fn send_more(socket: &TcpStream, head: &[IoSlice<'_>]) -> io::Result<usize> {
    let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
    retry(|| rustix::net::sendmsg(socket, head, &mut SendAncillaryBuffer::default(), flags))
}

/// Sends ordinary bytes.
pub(crate) fn send(socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    retry(|| rustix::net::send(socket, bytes, SendFlags::NOSIGNAL))
}

/// `sendfile(2)`; 0 at the end of the file, `Unsupported` if this file cannot be sent so.
pub(crate) fn sendfile(
    socket: &TcpStream,
    file: &File,
    offset: u64,
    len: usize,
) -> io::Result<usize> {
    retry(|| {
        let mut offset = offset;
        rustix::fs::sendfile(socket, file, Some(&mut offset), len)
    })
    .map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => io::ErrorKind::Unsupported.into(),
        _ => error,
    })
}

/// Reads at `offset` what the page cache holds (`preadv2` with `RWF_NOWAIT`).
pub(crate) fn read_cached(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<Cached> {
    let mut buffers = [IoSliceMut::new(buffer)];
    let outcome = retry(|| rustix::io::preadv2(file, &mut buffers, offset, ReadWriteFlags::NOWAIT));
    match outcome {
        Ok(read) => Ok(Cached::Read(read)),
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::AGAIN) => Ok(Cached::Miss),
            Some(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(Cached::Unknown),
            _ => Err(error),
        },
    }
}

/// Starts reading a range into the page cache. A hint: failure costs only time.
pub(crate) fn will_need(file: &File, offset: u64, len: u64) {
    let _ = rustix::fs::fadvise(file, offset, NonZeroU64::new(len), Advice::WillNeed);
}

/// Bytes in the socket's send buffer that the peer has not acknowledged (`SIOCOUTQ`, tcp(7)).
#[expect(unsafe_code, reason = "an ioctl that rustix does not wrap")]
pub(crate) fn unsent(socket: &TcpStream) -> Option<u64> {
    /// `SIOCOUTQ`, which is `TIOCOUTQ` (asm-generic/ioctls.h).
    #[cfg(not(any(
        target_arch = "mips64",
        target_arch = "powerpc64",
        target_arch = "sparc64"
    )))]
    const SIOCOUTQ: rustix::ioctl::Opcode = 0x5411;
    #[cfg(target_arch = "mips64")]
    const SIOCOUTQ: rustix::ioctl::Opcode = 0x7472;
    #[cfg(any(target_arch = "powerpc64", target_arch = "sparc64"))]
    const SIOCOUTQ: rustix::ioctl::Opcode = 0x4004_7473;

    // SAFETY: on a TCP socket this request writes one C int to its argument (tcp(7)), which is
    // the type given; `socket` is an open TCP socket for the length of the borrow.
    let queued = unsafe {
        let request = rustix::ioctl::Getter::<SIOCOUTQ, std::ffi::c_int>::new();
        rustix::ioctl::ioctl(socket, request)
    };
    u64::try_from(queued.ok()?).ok()
}

fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            outcome => return Ok(outcome?),
        }
    }
}
