//! What a process says, as lines that are safe to show.

use std::fs::File;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::mpsc::Sender;

use super::error::SandboxError;

mod lines;

use lines::Lines;
pub(crate) use lines::plain;

/// Where a run's output goes.
#[derive(Debug)]
pub struct Output {
    /// Takes the lines of both streams in the order in which they arrive. A full channel makes the process wait; a closed
    /// one drops what comes.
    pub lines: Sender<Line>,
    /// More bytes than these are read and dropped, and a line says so.
    pub bytes: u64,
    /// Takes standard output as it is, up to `bytes`, instead of as lines: an archive of `save-artifacts`.
    pub raw: Option<File>,
}

/// One line, without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Which stream.
    pub stream: Stream,
    /// Text without control characters: it cannot move a cursor, change a colour, or end a line of a log.
    pub text: String,
}

/// Where a line comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
    /// The sandbox itself.
    Sandbox,
}

/// How many bytes were read and how many of them dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) bytes: u64,
    pub(super) dropped: u64,
}

impl Read {
    fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.dropped += other.dropped;
    }
}

/// Reads both streams to their ends.
pub(super) async fn pump(
    stdout: impl AsyncRead + Unpin,
    stderr: impl AsyncRead + Unpin,
    output: Output,
) -> Result<Read, SandboxError> {
    let Output { lines, bytes, raw } = output;
    let mut total = Read::default();
    let out = async {
        match raw {
            Some(file) => copy(stdout, file, bytes).await,
            None => Ok(read_lines(stdout, Stream::Out, &lines, bytes).await),
        }
    };
    let (out, err) = tokio::join!(out, read_lines(stderr, Stream::Err, &lines, bytes));
    total.add(out?);
    total.add(err);
    Ok(total)
}

async fn read_lines(
    mut from: impl AsyncRead + Unpin,
    stream: Stream,
    to: &Sender<Line>,
    limit: u64,
) -> Read {
    let mut read = Read::default();
    let mut lines = Lines::default();
    let mut buffer = vec![0; 16 << 10];
    loop {
        // An error ends it as an end does: the pipe has no other.
        let count = from.read(&mut buffer).await.unwrap_or(0);
        if count == 0 {
            break;
        }
        let kept = usize::try_from(limit.saturating_sub(read.bytes)).unwrap_or(usize::MAX);
        let kept = kept.min(count);
        let was_full = read.dropped > 0;
        read.bytes += count as u64;
        read.dropped += (count - kept) as u64;
        let mut ready = lines.push(&buffer[..kept]);
        if !was_full && read.dropped > 0 {
            ready.extend(lines.finish());
            let text = format!("[more than {limit} bytes of output: what follows is dropped]");
            send(to, Stream::Sandbox, text).await;
        }
        for text in ready {
            send(to, stream, text).await;
        }
    }
    if let Some(text) = lines.finish() {
        send(to, stream, text).await;
    }
    read
}

async fn send(to: &Sender<Line>, stream: Stream, text: String) {
    // Nobody listens any more: the process is not to blame and goes on.
    let _ = to.send(Line { stream, text }).await;
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    to: File,
    limit: u64,
) -> Result<Read, SandboxError> {
    let mut to = tokio::fs::File::from_std(to);
    let kept = tokio::io::copy(&mut (&mut from).take(limit), &mut to).await;
    let kept = kept.map_err(SandboxError::io("write the output's file"))?;
    let flushed = tokio::io::AsyncWriteExt::flush(&mut to).await;
    flushed.map_err(SandboxError::io("write the output's file"))?;
    let dropped = tokio::io::copy(&mut from, &mut tokio::io::sink())
        .await
        .unwrap_or(0);
    let bytes = kept + dropped;
    Ok(Read { bytes, dropped })
}
