use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use crate::lane::{Claim, Lane};
use crate::outlet::Outlet;
use crate::patience::Patience;
use crate::pool::Buffer;
use crate::sys;
use crate::window::Window;

/// How an HTTP/2 connection begins (RFC 9113 section 3.4); no HTTP/1 method is `PRI`.
const HTTP2_PREFACE: &[u8] = b"PRI ";

/// A connection's I/O for hyper: sends announced file ranges with `sendfile`, and fails with
/// `TimedOut` when the client takes no byte for too long while there is something to write.
///
/// A failed write resets the connection when it is dropped, so that the kernel does not keep
/// megabytes for a client that no longer reads, and a cut-short reply does not look finished.
#[derive(Debug)]
pub struct Wire<S> {
    io: TokioIo<S>,
    socket: Option<fn(&S) -> &TcpStream>,
    lane: Option<Arc<Lane>>,
    /// Bytes of the HTTP/2 preface seen so far; `None` once the protocol is decided.
    preface: Option<usize>,
    patience: Patience,
}

impl Wire<TcpStream> {
    /// Wraps a connection without TLS, and returns the outlet for the bodies of its responses.
    ///
    /// `patience`: how long the client may take no byte before a pending write fails.
    pub fn plain(stream: TcpStream, patience: Duration) -> (Self, Outlet) {
        Self::through(stream, patience, Window::shared())
    }

    pub(crate) fn through(
        stream: TcpStream,
        patience: Duration,
        window: Option<&'static Window>,
    ) -> (Self, Outlet) {
        let lane = window.map(|window| Arc::new(Lane::new(window)));
        let outlet = lane.clone().map(Outlet::onto).unwrap_or_default();
        (Self::new(stream, Some(|tcp| tcp), lane, patience), outlet)
    }
}

impl<S> Wire<S> {
    /// Wraps any stream. Files take the read path.
    pub fn over(io: S, patience: Duration) -> Self {
        Self::new(io, None, None, patience)
    }

    /// Wraps a stream that encrypts onto the TCP stream that `socket` shows, whose send buffer
    /// tells progress more finely. Files take the read path.
    pub fn encrypted(io: S, socket: fn(&S) -> &TcpStream, patience: Duration) -> Self {
        Self::new(io, Some(socket), None, patience)
    }

    fn new(
        io: S,
        socket: Option<fn(&S) -> &TcpStream>,
        lane: Option<Arc<Lane>>,
        patience: Duration,
    ) -> Self {
        Self {
            io: TokioIo::new(io),
            socket,
            preface: lane.is_some().then_some(0),
            lane,
            patience: Patience::new(patience),
        }
    }

    fn socket(&self) -> Option<&TcpStream> {
        self.socket.map(|socket| socket(self.io.inner()))
    }

    #[cfg(test)]
    pub(crate) fn lane(&self) -> Option<Arc<Lane>> {
        self.lane.clone()
    }

    fn is_broken(&self) -> bool {
        self.lane.as_ref().is_some_and(|lane| lane.is_broken())
    }

    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let socket = self.socket.map(|socket| socket(self.io.inner()));
        let outcome = self.patience.watch(cx, socket, outcome);
        if matches!(outcome, Poll::Ready(Err(_))) {
            if let Some(lane) = &self.lane {
                lane.sever();
            }
            if let Some(socket) = socket {
                // Fails only on a socket that is gone already.
                let _ = socket.set_zero_linger();
            }
        }
        outcome
    }

    /// Looks at the connection's first bytes.
    fn sniff(&mut self, bytes: &[u8]) {
        let (Some(seen), Some(lane)) = (self.preface, &self.lane) else {
            return;
        };
        let rest = &HTTP2_PREFACE[seen..];
        let common = bytes.len().min(rest.len());
        if bytes[..common] != rest[..common] {
            lane.decide(true);
            self.preface = None;
        } else if common == rest.len() {
            lane.decide(false);
            self.preface = None;
        } else {
            self.preface = Some(seen + common);
        }
    }
}

impl<S: AsyncRead + Unpin> Read for Wire<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.preface.is_none() {
            return Pin::new(&mut this.io).poll_read(cx, buf);
        }
        // hyper's cursor does not show what was read into it.
        let mut first = [0; 1024];
        let room = buf.remaining().min(first.len());
        let mut first = ReadBuf::new(&mut first[..room]);
        ready!(Pin::new(this.io.inner_mut()).poll_read(cx, &mut first))?;
        this.sniff(first.filled());
        buf.put_slice(first.filled());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    fn send(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if self.is_broken() {
            return Poll::Ready(Err(broken()));
        }
        let window = match &self.lane {
            Some(lane) => Some(lane.window()),
            None => Window::existing(),
        };
        let range = window.and_then(|window| {
            bufs.iter()
                .position(|slice| !slice.is_empty() && window.contains(slice))
        });
        let Some(range) = range else {
            return Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        };
        match (&self.lane, self.socket()) {
            (Some(lane), Some(socket)) => {
                send_range(lane, socket, cx, &bufs[..range], &bufs[range])
            }
            _ => Poll::Ready(Err(io::Error::other(
                "a file range of another connection: not sent",
            ))),
        }
    }
}

impl<S: AsyncWrite + Unpin> Write for Wire<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = this.send(cx, bufs);
        this.watch(cx, outcome)
    }

    /// Always `true` where files may be announced, which makes hyper keep the slices apart.
    fn is_write_vectored(&self) -> bool {
        self.lane.is_some() || self.io.inner().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.io).poll_flush(cx);
        this.watch(cx, outcome)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.io).poll_shutdown(cx);
        this.watch(cx, outcome)
    }
}

impl<S> Drop for Wire<S> {
    /// A body that outlives its connection must not announce anything on it.
    fn drop(&mut self) {
        if let Some(lane) = &self.lane {
            lane.sever();
        }
    }
}

/// Sends the ordinary slices `head`, then the file range behind `range`, as far as the socket
/// takes them; returns how many bytes of both together.
fn send_range(
    lane: &Lane,
    socket: &TcpStream,
    cx: &mut Context<'_>,
    head: &[IoSlice<'_>],
    range: &[u8],
) -> Poll<io::Result<usize>> {
    let claim = lane.claim(range)?;
    let head_len: usize = head.iter().map(|slice| slice.len()).sum();
    loop {
        ready!(socket.poll_write_ready(cx))?;
        // Clears the readiness if the outcome is `WouldBlock`.
        let outcome = socket.try_io(Interest::WRITABLE, || {
            send_once(socket, head, head_len, &claim)
        });
        match outcome {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Poll::Ready(Err(error)),
            Ok(sent) => {
                lane.record(range, sent.saturating_sub(head_len));
                return Poll::Ready(Ok(sent));
            }
        }
    }
}

fn send_once(
    socket: &TcpStream,
    head: &[IoSlice<'_>],
    head_len: usize,
    claim: &Claim,
) -> io::Result<usize> {
    if head_len == 0 {
        return send_file(socket, claim);
    }
    let sent = sys::send_more(socket, head)?;
    if sent < head_len {
        return Ok(sent);
    }
    // The head is on its way whatever follows; an error shows again at the next call.
    Ok(sent + send_file(socket, claim).unwrap_or(0))
}

fn send_file(socket: &TcpStream, claim: &Claim) -> io::Result<usize> {
    let sent = match sys::sendfile(socket, &claim.file, claim.offset, claim.len) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => copy(socket, claim),
        outcome => outcome,
    }?;
    if sent == 0 {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!(
                "the file ends before byte {} of the range being sent",
                claim.offset
            ),
        ));
    }
    Ok(sent)
}

/// Sends part of a range by way of a buffer, for a file system without `sendfile`. What the
/// socket does not take is read again at the next call.
fn copy(socket: &TcpStream, claim: &Claim) -> io::Result<usize> {
    let mut buffer = Buffer::take(crate::DEFAULT_READ_SIZE);
    let space = buffer.space();
    let len = claim.len.min(space.len());
    match sys::read_at(&claim.file, &mut space[..len], claim.offset)? {
        0 => Ok(0),
        read => sys::send(socket, &space[..read]),
    }
}

fn broken() -> io::Error {
    io::Error::other(
        "a file range was dropped before all of it was sent, and may have been copied: \
         nothing more is sent on this connection",
    )
}
