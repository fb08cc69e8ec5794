//! Serves files through hyper with `sendfile(2)`.
//!
//! hyper has no door for it: a response body yields memory. This crate lets the body yield
//! memory that stands for a file range, and lets the connection's I/O recognise it:
//!
//! 1. [`Wire::plain`] wraps an accepted `TcpStream` and returns the connection's [`Outlet`],
//!    which the accept loop puts into each request's extensions.
//! 2. A handler makes its body with [`Outlet::file`]. Piece by piece (1 MiB) the body sees to it
//!    that the pages are in the page cache, leases an address range of the *window* (address
//!    space reserved once per process), notes "these addresses are that file from that offset"
//!    on its connection, and yields one `Bytes` over those addresses.
//! 3. hyper hands [`Wire`] the very slices that the body yielded (`writev`). A slice inside the
//!    window is looked up and sent with `sendfile`, with `MSG_MORE` on the header before it.
//!
//! On every other connection (TLS, HTTP/2, none at all), for small files, where the system is
//! not 64-bit Linux or the address space cannot be had, the same body reads the file into pooled
//! buffers instead. Callers see one type, [`FileBody`], and the same bytes.
//!
//! # Why the window's own bytes can never be sent as content
//!
//! A slice's address *is* its place in the file: partial writes, cut-short bodies and chunked
//! framing only move along the addresses, so nothing can get out of step. What is left is that
//! someone reads the slice's memory, or writes it elsewhere:
//!
//! - Only a body whose connection is a living `Wire::plain` that has read the start of an
//!   HTTP/1 request (not the HTTP/2 preface) announces ranges. TLS has no such connection, by
//!   type: [`Wire::over`] and [`Wire::encrypted`] make no outlet.
//! - A `Wire` never writes window addresses as memory. One that its connection has not announced,
//!   or not in order, is an error.
//! - Each range is leased to its `Bytes`. When the last clone goes before the wire has sent all of
//!   it (hyper was told to flatten its writes, a layer compressed or collected the body, the
//!   client went away), the connection is broken at once: it sends nothing more, so the copy does
//!   not leave either. hyper copies before it writes, hence the check always comes first.
//! - With `debug_assertions` the window has no access rights, so that a reader dies where it
//!   reads, and `write(2)` from it fails with `EFAULT`. A release build maps it readable (zeros):
//!   there a fault would take the whole server down for what the lease already turns into one
//!   aborted connection, and Rust's rules want the memory behind a `&[u8]` to be readable.
//!
//! What this does not cover: a layer that keeps both a clone of the `Bytes` and a copy of its
//! content, lets the wire send the former and sends the latter elsewhere. In a debug build it
//! faults.
//!
//! # Files must not change
//!
//! `sendfile` gives the socket references to the page cache. A file that is *shortened* in
//! mid-flight aborts the connection; one that is overwritten in place would send a mixture.
//! Write once, rename, unlink: then it cannot happen.
//!
//! # Settings of the connection
//!
//! - `http1().max_buf_size(64 * 1024)`: the read path holds what hyper lets it queue, ~400 KiB
//!   per stalled client by default.
//! - Never `pipeline_flush(true)` or `writev(false)`: both flatten writes. Nothing false is sent
//!   then, but every sendfile connection is broken.
//! - `TcpStream::set_nodelay(true)`.

mod body;
mod lane;
mod outlet;
mod patience;
mod pool;
mod sys;
mod window;
mod wire;

#[cfg(test)]
mod tests;

pub use body::{DEFAULT_READ_SIZE, FileBody};
pub use outlet::Outlet;
pub use wire::Wire;
