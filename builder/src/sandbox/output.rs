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
    /// Of more bytes than these the end is kept and sent when the process has ended, after a line that says how much is
    /// left out.
    pub bytes: u64,
    /// Takes standard output as it is, up to `bytes`, instead of as lines: an archive of `save-artifacts`. What is more is
    /// dropped.
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

/// Reads both streams to their ends.
pub(super) async fn pump(
    stdout: impl AsyncRead + Unpin,
    stderr: impl AsyncRead + Unpin,
    output: Output,
) -> Result<Read, SandboxError> {
    let Output { lines, bytes, raw } = output;
    let heard = Mutex::new(Heard::new(lines, bytes));
    let out = async {
        if let Some(file) = raw {
            return copy(stdout, file, bytes).await;
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
