use std::fs::File;
use std::io::{self, IoSlice};

use tokio::net::TcpStream;

use super::Cached;
use crate::window::Access;

/// Always refused, so that no range is ever announced.
pub(crate) fn reserve(_size: usize, _access: Access) -> io::Result<&'static [u8]> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn send_more(_socket: &TcpStream, _head: &[IoSlice<'_>]) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn send(_socket: &TcpStream, _bytes: &[u8]) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn sendfile(
    _socket: &TcpStream,
    _file: &File,
    _offset: u64,
    _len: usize,
) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

#[expect(clippy::unnecessary_wraps, reason = "fails on Linux")]
pub(crate) fn read_cached(_file: &File, _buffer: &mut [u8], _offset: u64) -> io::Result<Cached> {
    Ok(Cached::Unknown)
}

pub(crate) fn will_need(_file: &File, _offset: u64, _len: u64) {}

pub(crate) fn unsent(_socket: &TcpStream) -> Option<u64> {
    None
}
