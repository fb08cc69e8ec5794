//! Compressing a stream on several processors, to the same bytes whatever their number.
//!
//! The stream is cut into blocks of a fixed size; each is compressed by itself, by whichever thread is free, and written in
//! its turn. Of gzip they are parts of one member, each with the end of the block before as its dictionary (what pigz
//! does); of zstd each is a frame. So there is no more in memory than some blocks for each thread.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use flate2::{Compress, Crc, FlushCompress, Status};
use oci::{Algorithm, Digest, Hasher};

use crate::Compression;

#[cfg(test)]
mod tests;

/// The end of the stream that is not compressed yet. Blocks go to workers as they are filled.
pub(super) struct Blocks {
    block: Vec<u8>,
    size: usize,
    before: Option<Arc<Vec<u8>>>,
    work: SyncSender<Job>,
    order: SyncSender<Receiver<io::Result<Packed>>>,
}

/// What workers take from.
pub(super) struct Work(Mutex<Receiver<Job>>);

/// The compressed blocks, in their order.
pub(super) struct Ordered(Receiver<Receiver<io::Result<Packed>>>);

/// One block to compress.
struct Job {
    block: Arc<Vec<u8>>,
    before: Option<Arc<Vec<u8>>>,
    is_last: bool,
    answer: SyncSender<io::Result<Packed>>,
}

struct Packed {
    bytes: Vec<u8>,
    /// Of what it is made of; only gzip asks for it.
    crc: Crc,
}

/// Three ends of a pipe: one to write to, one for the workers, one for who writes the result.
pub(super) fn pipe(compression: Compression, workers: usize) -> (Blocks, Work, Ordered) {
    let (work, jobs) = sync_channel(workers);
    let (order, ordered) = sync_channel(2 * workers);
    let size = match compression {
        Compression::Plain | Compression::Gzip => GZIP_BLOCK,
        Compression::Zstd => ZSTD_BLOCK,
    };
    let blocks = Blocks {
        block: Vec::with_capacity(size),
        size,
        before: None,
        work,
        order,
    };
    (blocks, Work(Mutex::new(jobs)), Ordered(ordered))
}

impl Blocks {
    /// Ends the stream.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.send(true)
    }

    fn send(&mut self, is_last: bool) -> io::Result<()> {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        let next = Vec::with_capacity(if is_last { 0 } else { self.size });
        let block = Arc::new(std::mem::replace(&mut self.block, next));
        let before = self.before.replace(Arc::clone(&block));
        let (answer, result) = sync_channel(1);
        let job = Job {
            block,
            before,
            is_last,
            answer,
        };
        self.work.send(job).map_err(|_| gone())?;
        self.order.send(result).map_err(|_| gone())
    }
}

impl Write for Blocks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.block.len() == self.size {
            self.send(false)?;
        }
        let taken = bytes.len().min(self.size - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Work {
    /// Compresses until there is no more to come.
    pub(super) fn run(&self, compression: Compression) {
        loop {
            let jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let Ok(job) = jobs.recv() else { return };
            drop(jobs);
            let packed = match compression {
                Compression::Plain => Ok(plain(&job)),
                Compression::Gzip => gzip(&job),
                Compression::Zstd => zstd(&job),
            };
            // Nobody waits for it any more if the layer is given up.
            let _ = job.answer.send(packed);
        }
    }
}

impl Ordered {
    /// Writes what comes to `sink`. Gives the digest and the size of all that was written.
    pub(super) fn write_to(
        self,
        sink: &mut (dyn Write + Send),
        compression: Compression,
    ) -> io::Result<(Digest, u64)> {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        let mut put = |bytes: &[u8]| {
            hasher.update(bytes);
            sink.write_all(bytes)
        };
        let mut crc = Crc::new();
        if compression == Compression::Gzip {
            put(&GZIP_HEADER)?;
        }
        for packed in self.0 {
            let packed = packed.recv();
            let packed = packed.map_err(|_| io::Error::other("a compressing thread ended"))??;
            put(&packed.bytes)?;
            crc.combine(&packed.crc);
        }
        if compression == Compression::Gzip {
            put(&crc.sum().to_le_bytes())?;
            put(&crc.amount().to_le_bytes())?;
        }
        sink.flush()?;
        let size = hasher.written();
        Ok((hasher.finish(), size))
    }
}

fn plain(job: &Job) -> Packed {
    Packed {
        bytes: job.block.to_vec(),
        crc: Crc::new(),
    }
}

fn gzip(job: &Job) -> io::Result<Packed> {
    let mut deflate = Compress::new(flate2::Compression::new(GZIP_LEVEL), false);
    if let Some(before) = &job.before {
        let start = before.len().saturating_sub(WINDOW);
        deflate.set_dictionary(&before[start..])?;
    }
    let flush = if job.is_last {
        FlushCompress::Finish
    } else {
        FlushCompress::Sync
    };
    let mut bytes = Vec::with_capacity(job.block.len() / 2 + 1024);
    loop {
        let taken = usize::try_from(deflate.total_in()).unwrap_or(usize::MAX);
        let status = deflate.compress_vec(&job.block[taken..], &mut bytes, flush)?;
        let has_room = bytes.len() < bytes.capacity();
        if status == Status::StreamEnd || (has_room && !job.is_last) {
            break;
        }
        bytes.reserve(job.block.len() / 4 + 1024);
    }
    let mut crc = Crc::new();
    crc.update(&job.block);
    Ok(Packed { bytes, crc })
}

fn zstd(job: &Job) -> io::Result<Packed> {
    let mut compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
    compressor.include_checksum(true)?;
    let bytes = compressor.compress(&job.block)?;
    Ok(Packed {
        bytes,
        crc: Crc::new(),
    })
}

/// RFC 1952 section 2.3: deflate, no flags, no time, no statement on effort, system unknown.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// `gzip` by itself takes 6: that is a fifth more time for two thousandths less bytes.
const GZIP_LEVEL: u32 = 5;
const GZIP_BLOCK: usize = 1 << 20;
/// How far back deflate can refer.
const WINDOW: usize = 32 << 10;
const ZSTD_LEVEL: i32 = 3;
/// Twice the window of that level: cut smaller, it would be noticed in the size.
const ZSTD_BLOCK: usize = 4 << 20;
