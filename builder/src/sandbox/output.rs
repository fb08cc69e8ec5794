//! What a process says, as lines that are safe to show.

use std::fs::File;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::Mutex;
use tokio::sync::mpsc::Sender;

use super::error::SandboxError;

mod heard;
mod lines;

use heard::Heard;
pub(crate) use lines::plain;

/// Where a run's output goes.
#[derive(Debug)]
pub struct Output {
    /// Takes the lines of both streams in the order in which they arrive. A full channel makes the process wait; a closed
    /// one drops what comes.
    pub lines: Sender<Line>,
    /// Of more bytes of lines than these the end is kept and sent when the process has ended, after a line that says how much
    /// is left out.
    pub bytes: u64,
    /// Takes standard output as it is, instead of as lines: an archive of `save-artifacts`.
    pub raw: Option<Raw>,
}

/// Where standard output goes as it is.
#[derive(Debug)]
pub struct Raw {
    /// Takes it.
    pub file: File,
    /// What is more is dropped.
    pub bytes: u64,
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
    /// Those of them that were raw.
    pub(super) raw_dropped: u64,
}

/// Reads both streams to their ends.
pub(super) async fn pump(
    stdout: impl AsyncRead + Unpin,
    stderr: impl AsyncRead + Unpin,
    output: Output,
) -> Result<Read, SandboxError> {
    let Output { lines, bytes, raw } = output;
    let heard = Mutex::new(Heard::new(lines, bytes));
    let out = async {
        if let Some(raw) = raw {
            return copy(stdout, raw).await;
        }
        read(stdout, Stream::Out, &heard).await;
        Ok(Read::default())
    };
    let (copied, ()) = tokio::join!(out, read(stderr, Stream::Err, &heard));
    let mut total = copied?;
    let (bytes, dropped) = heard.into_inner().finish().await;
    total.bytes += bytes;
    total.dropped += dropped;
    Ok(total)
}

async fn read(mut from: impl AsyncRead + Unpin, stream: Stream, heard: &Mutex<Heard>) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        // An error ends it as an end does: the pipe has no other.
        let count = from.read(&mut buffer).await.unwrap_or(0);
        if count == 0 {
            return;
        }
        heard.lock().await.take(stream, &buffer[..count]).await;
    }
}

async fn copy(mut from: impl AsyncRead + Unpin, to: Raw) -> Result<Read, SandboxError> {
    let mut file = tokio::fs::File::from_std(to.file);
    let kept = tokio::io::copy(&mut (&mut from).take(to.bytes), &mut file).await;
    let kept = kept.map_err(SandboxError::io("write the output's file"))?;
    let flushed = tokio::io::AsyncWriteExt::flush(&mut file).await;
    flushed.map_err(SandboxError::io("write the output's file"))?;
    let dropped = tokio::io::copy(&mut from, &mut tokio::io::sink())
        .await
        .unwrap_or(0);
    Ok(Read {
        bytes: kept + dropped,
        dropped,
        raw_dropped: dropped,
    })
}
