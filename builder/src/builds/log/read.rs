//! Reading a log, whole or in part, while it is written or after the fact.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Semaphore;
use zstd::zstd_safe::{find_frame_compressed_size, get_frame_content_size};

use super::follow::Follow;
use super::line::{Entry, LogLine, PhaseAt};
use super::write::FRAME;
use crate::driver::Phase;

/// Longest frame in the file: its text and one line over, which does not become longer than this by being compressed.
const MAX_FRAME: usize = 2 * FRAME;

/// How much of the file is read for a frame at first: nearly all are shorter.
const USUAL_FRAME: usize = FRAME / 4;

/// Longest text of a frame.
const MAX_TEXT: u64 = 3 * FRAME as u64;

/// Text that is given out at a time, and the line that goes over: what each follower holds while it is sent.
const PIECE: u64 = FRAME as u64 / 4;

/// Bytes of the list of phases that are read: thousands.
const MAX_PHASES: u64 = FRAME as u64;

/// How many logs are read at the same time, each with a frame or two in memory. Those who follow wait for their turn; who reads by
/// [`LogReader::read`] takes none.
pub(in crate::builds) const READERS: usize = 16;

/// Reads a log as far as it is written. Blocks: for threads that may.
#[derive(Debug)]
pub struct LogReader {
    folder: PathBuf,
    /// `None` while nothing was written.
    frames: Option<Frames>,
    /// Lines before this offset are passed over.
    from: u64,
    turns: Arc<Semaphore>,
}

impl LogReader {
    /// The log in a folder, which need not be there yet.
    pub(in crate::builds) fn new(folder: PathBuf, turns: Arc<Semaphore>) -> Self {
        Self {
            folder,
            frames: None,
            from: 0,
            turns,
        }
    }

    /// The lines from here on that are written by now.
    pub fn written(self) -> Follow {
        let from = self.from;
        Follow::new(self, from, None)
    }

    pub(super) fn turns(&self) -> Arc<Semaphore> {
        Arc::clone(&self.turns)
    }

    /// The phases that have begun, in their order.
    pub fn phases(&self) -> io::Result<Vec<PhaseAt>> {
        read_phases(&self.folder)
    }

    /// Goes to an offset; one within a line counts as the beginning of the line after it.
    pub fn seek(&mut self, offset: u64) {
        if self
            .frames
            .as_ref()
            .is_some_and(|frames| offset < frames.text())
        {
            self.frames = None;
        }
        self.from = offset;
    }

    /// Goes to an offset, unless it is behind it already.
    pub fn go_on(&mut self, offset: u64) {
        self.seek(self.from.max(offset));
    }

    /// Goes to the beginning of a phase (of its last try) and says where it ends: `None` if it has not begun, and
    /// [`u64::MAX`] as its end if no other has begun after it.
    pub fn seek_phase(&mut self, phase: Phase) -> io::Result<Option<u64>> {
        let phases = self.phases()?;
        let Some(index) = phases.iter().rposition(|at| at.phase == phase) else {
            return Ok(None);
        };
        self.seek(phases[index].offset);
        Ok(Some(
            phases.get(index + 1).map_or(u64::MAX, |next| next.offset),
        ))
    }

    /// The next lines, not too many at a time; none if there are no more now.
    pub fn read(&mut self) -> io::Result<Vec<LogLine>> {
        if self.frames.is_none() {
            match File::open(self.folder.join("log")) {
                Ok(file) => self.frames = Some(Frames::new(file)),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(error),
            }
        }
        let Some(frames) = &mut self.frames else {
            return Ok(Vec::new());
        };
        loop {
            let Some((_, length)) = frames.peek()? else {
                return Ok(Vec::new());
            };
            if frames.text() + length <= self.from {
                frames.skip()?;
                continue;
            }
            let mut at = frames.text();
            let Some((text, bytes)) = frames.next()? else {
                return Ok(Vec::new());
            };
            let mut lines = Vec::new();
            let mut given = 0;
            for line in text.split_inclusive(|byte| *byte == b'\n') {
                if given >= PIECE {
                    break;
                }
                let begin = at;
                at += line.len() as u64;
                if begin < self.from {
                    continue;
                }
                given += line.len() as u64;
                let line = String::from_utf8_lossy(line);
                if let Some((written, entry)) = Entry::decode(line.trim_end_matches('\n')) {
                    lines.push(LogLine {
                        next: at,
                        at: written,
                        entry,
                    });
                }
            }
            self.from = at;
            // What was not given out is read once more: keeping it would cost each follower as much as all of it.
            if at == frames.text() + length {
                frames.pass(bytes, length);
            }
            if !lines.is_empty() {
                return Ok(lines);
            }
        }
    }
}

/// The whole frames of a log's file, one after the other.
#[derive(Debug)]
pub(super) struct Frames {
    file: File,
    at: u64,
    text: u64,
}

impl Frames {
    pub(super) fn new(file: File) -> Self {
        Self {
            file,
            at: 0,
            text: 0,
        }
    }

    /// Where the next frame begins in the file.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Where its text begins in the log.
    pub(super) fn text(&self) -> u64 {
        self.text
    }

    /// The next frame's bytes and its text's length; `None` if there is none that is whole.
    fn peek(&self) -> io::Result<Option<(Vec<u8>, u64)>> {
        let mut bytes = Vec::new();
        for most in [USUAL_FRAME, MAX_FRAME] {
            self.read_up_to(most, &mut bytes)?;
            if find_frame_compressed_size(&bytes).is_ok() || bytes.len() < most {
                break;
            }
        }
        let Ok(size) = find_frame_compressed_size(&bytes) else {
            return Ok(None);
        };
        bytes.truncate(size);
        match get_frame_content_size(&bytes) {
            Ok(Some(length)) if length <= MAX_TEXT => Ok(Some((bytes, length))),
            _ => Ok(None),
        }
    }

    /// Reads on until there are `most` bytes of what comes next, or no more.
    fn read_up_to(&self, most: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
        let mut read = bytes.len();
        bytes.resize(most, 0);
        while read < most {
            match self.file.read_at(&mut bytes[read..], self.at + read as u64) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(read);
        Ok(())
    }

    /// Passes a frame over.
    pub(super) fn skip(&mut self) -> io::Result<Option<()>> {
        let found = self.peek()?;
        Ok(found.map(|(bytes, length)| self.pass(bytes.len(), length)))
    }

    /// The next frame's text, and its length in the file; `None` if there is none that is whole.
    fn next(&self) -> io::Result<Option<(Vec<u8>, usize)>> {
        let Some((bytes, length)) = self.peek()? else {
            return Ok(None);
        };
        let capacity = usize::try_from(length).unwrap_or(usize::MAX);
        let Ok(text) = zstd::bulk::decompress(&bytes, capacity) else {
            return Ok(None);
        };
        // A frame that lies about its length would put all later offsets out.
        Ok((text.len() as u64 == length).then_some((text, bytes.len())))
    }

    fn pass(&mut self, bytes: usize, text: u64) {
        self.at += bytes as u64;
        self.text += text;
    }
}

/// The phases of the log in a folder. A torn last line is none.
pub(super) fn read_phases(folder: &Path) -> io::Result<Vec<PhaseAt>> {
    let mut text = Vec::new();
    match File::open(folder.join("phases")) {
        Ok(file) => {
            file.take(MAX_PHASES).read_to_end(&mut text)?;
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let lines = text.split(|byte| *byte == b'\n');
    Ok(lines
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect())
}
