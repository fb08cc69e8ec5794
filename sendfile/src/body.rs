use std::fs::File;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::lane::Lane;
use crate::pool::Buffer;
use crate::sys::{self, Cached};
use crate::window::STEP;

/// Bytes that the read path reads at once, unless told otherwise.
pub const DEFAULT_READ_SIZE: usize = 64 * 1024;

/// Below this, one `writev` of header and content is cheaper than a separate `sendfile`.
const SMALL: u64 = 16 * 1024;

/// Distance of the points at which a piece is asked whether it is cached. A page evicted between
/// two points costs its connection's thread one wait for the disk, no more.
const PROBE: usize = 64 * 1024;

/// The smallest page size of any target.
const PAGE: usize = 4096;

/// A response body: a range of a file, of known length. Made by [`Outlet::file`](crate::Outlet::file).
///
/// Must be polled within a Tokio runtime: work that waits for the disk goes to its blocking pool.
/// Yields an error if the file turns out shorter than the range; the server then aborts the
/// connection, so that the client cannot take the reply for whole.
#[derive(Debug)]
pub struct FileBody {
    file: Arc<File>,
    next: u64,
    end: u64,
    /// Where ranges are announced; `None` once the read path is chosen.
    lane: Option<Arc<Lane>>,
    read_size: usize,
    /// Whether the file system answers what is cached.
    answers: bool,
    work: Work,
}

#[derive(Debug)]
enum Work {
    Idle,
    Warming(JoinHandle<io::Result<()>>),
    Reading(JoinHandle<io::Result<Bytes>>),
}

impl FileBody {
    pub(crate) fn new(lane: Option<Arc<Lane>>, file: Arc<File>, range: Range<u64>) -> Self {
        let large = range.end.saturating_sub(range.start) > SMALL;
        Self {
            file,
            next: range.start,
            end: range.end.max(range.start),
            lane: lane.filter(|_| large),
            read_size: DEFAULT_READ_SIZE,
            answers: true,
            work: Work::Idle,
        }
    }

    /// Sets the bytes that the read path reads at once, kept within 4 KiB and 1 MiB.
    #[must_use]
    pub fn read_size(mut self, bytes: usize) -> Self {
        self.read_size = bytes.clamp(PAGE, STEP);
        self
    }

    /// The next piece's length, at most `limit`.
    fn piece(&self, limit: usize) -> usize {
        usize::try_from(self.end - self.next).map_or(limit, |left| left.min(limit))
    }

    /// Begins the next piece: returns it, or leaves `work` busy with fetching it.
    fn begin(&mut self) -> io::Result<Option<Bytes>> {
        if let Some(lane) = self.lane.take_if(|lane| !lane.is_open()) {
            drop(lane);
        }
        if self.lane.is_some() {
            let len = self.piece(STEP);
            if self.is_cached(len)? {
                return Ok(self.announce(len));
            }
            let (file, offset) = (Arc::clone(&self.file), self.next);
            self.work = Work::Warming(spawn_blocking(move || warm(&file, offset, len)));
            return Ok(None);
        }

        let len = self.piece(self.read_size);
        let mut buffer = Buffer::take(self.read_size);
        if self.answers {
            match sys::read_cached(&self.file, &mut buffer.space()[..len], self.next)? {
                Cached::Read(0) => return Err(cut_short(self.next)),
                Cached::Read(read) => return Ok(Some(self.advance(buffer.freeze(read)))),
                Cached::Miss => {}
                Cached::Unknown => self.answers = false,
            }
        }
        let (file, offset) = (Arc::clone(&self.file), self.next);
        self.work = Work::Reading(spawn_blocking(move || read(&file, buffer, offset, len)));
        Ok(None)
    }

    /// Whether the next `len` bytes can be sent without waiting for the disk, as far as known.
    pub(crate) fn is_cached(&mut self, len: usize) -> io::Result<bool> {
        if !self.answers {
            return Ok(false);
        }
        let points = (0..len).step_by(PROBE).chain([len - 1]);
        for point in points {
            let offset = self.next + point as u64;
            match sys::read_cached(&self.file, &mut [0], offset)? {
                Cached::Read(0) => return Err(cut_short(offset)),
                Cached::Read(_) => {}
                Cached::Miss => return Ok(false),
                Cached::Unknown => {
                    self.answers = false;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Puts the next piece on the lane; `None` sends the rest of the body down the read path.
    fn announce(&mut self, len: usize) -> Option<Bytes> {
        let announced = self
            .lane
            .as_ref()
            .and_then(|lane| lane.announce(&self.file, self.next, len));
        if announced.is_none() {
            self.lane = None;
        }
        announced.map(|bytes| self.advance(bytes))
    }

    fn advance(&mut self, piece: Bytes) -> Bytes {
        self.next += piece.len() as u64;
        piece
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        loop {
            match &mut self.work {
                Work::Idle => {
                    if let Some(piece) = self.begin()? {
                        return Poll::Ready(Ok(piece));
                    }
                }
                Work::Warming(job) => {
                    let warmed = ready!(Pin::new(job).poll(cx));
                    self.work = Work::Idle;
                    warmed??;
                    if let Some(piece) = self.announce(self.piece(STEP)) {
                        return Poll::Ready(Ok(piece));
                    }
                }
                Work::Reading(job) => {
                    let read = ready!(Pin::new(job).poll(cx));
                    self.work = Work::Idle;
                    let piece = read??;
                    return Poll::Ready(Ok(self.advance(piece)));
                }
            }
        }
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        if this.is_end_stream() {
            return Poll::Ready(None);
        }
        this.poll_piece(cx).map_ok(Frame::data).map(Some)
    }

    fn is_end_stream(&self) -> bool {
        self.next == self.end
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.end - self.next)
    }
}

/// Brings a piece into the page cache, and the one after it under way.
fn warm(file: &File, offset: u64, len: usize) -> io::Result<()> {
    sys::will_need(file, offset, 2 * STEP as u64);
    // One byte of each page: waits for the page without copying it.
    for page in (0..len).step_by(PAGE).chain([len - 1]) {
        let at = offset + page as u64;
        if sys::read_at(file, &mut [0], at)? == 0 {
            return Err(cut_short(at));
        }
    }
    Ok(())
}

fn read(file: &File, mut buffer: Buffer, offset: u64, len: usize) -> io::Result<Bytes> {
    sys::will_need(file, offset, STEP as u64);
    match sys::read_at(file, &mut buffer.space()[..len], offset)? {
        0 => Err(cut_short(offset)),
        read => Ok(buffer.freeze(read)),
    }
}

fn cut_short(offset: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        format!("the file ends at or before byte {offset} of the range being sent"),
    )
}
