//! Writing a log.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

use super::line::{Entry, PhaseAt};
use super::read::{Frames, read_phases};

/// A frame holds so many bytes of text, and the line that went over.
pub(super) const FRAME: usize = 64 << 10;

/// How much of the end is kept of a log that became too long.
const TAIL: usize = 256 << 10;

/// Writes the log of one run. Blocks.
pub(in crate::builds) struct LogWriter {
    file: File,
    phases: File,
    compressor: Compressor<'static>,
    /// Lines that are in no frame yet.
    buffer: Vec<u8>,
    /// How many bytes of text are in frames.
    written: u64,
    limit: u64,
    tail: VecDeque<String>,
    tail_bytes: usize,
    left_out: u64,
}

impl LogWriter {
    /// Opens the log in a folder that is made if it is not there; goes on after the last whole frame. What comes after
    /// `limit` bytes of text is left out, but for the end.
    pub(in crate::builds) fn open(folder: &Path, limit: u64) -> io::Result<Self> {
        // What a build says is for those who may see it.
        let mut private = std::fs::DirBuilder::new();
        private.recursive(true).mode(0o700).create(folder)?;
        let options = || {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            options
        };
        let mut file = options().open(folder.join("log"))?;
        let mut frames = Frames::new(file.try_clone()?);
        while frames.skip()?.is_some() {}
        file.set_len(frames.at())?;
        file.seek(SeekFrom::Start(frames.at()))?;
        let written = frames.text();
        let mut phases = options().open(folder.join("phases"))?;
        // A torn line, and what points behind the log's end.
        let whole: Vec<PhaseAt> = read_phases(folder)?;
        let whole = whole.iter().filter(|phase| phase.offset <= written);
        let lines: Vec<u8> = whole.flat_map(json_line).collect();
        phases.set_len(0)?;
        phases.write_all(&lines)?;
        let mut compressor = Compressor::new(3)?;
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        Ok(Self {
            file,
            phases,
            compressor,
            buffer: Vec::with_capacity(FRAME),
            written,
            limit,
            tail: VecDeque::new(),
            tail_bytes: 0,
            left_out: 0,
        })
    }

    /// Writes an entry; how many bytes of text can be read now.
    pub(in crate::builds) fn write(&mut self, at: u64, entry: &Entry) -> io::Result<u64> {
        let line = entry.encode(at);
        if let Entry::Phase(phase) = entry {
            self.flush()?;
            let offset = self.written;
            self.put(&line)?;
            self.flush()?;
            let phase = PhaseAt {
                phase: *phase,
                at,
                offset,
            };
            self.phases.write_all(&json_line(&phase))?;
        } else if self.written + self.buffer.len() as u64 > self.limit {
            self.hold(line);
        } else {
            self.put(&line)?;
        }
        Ok(self.written)
    }

    fn put(&mut self, line: &str) -> io::Result<()> {
        self.buffer.extend_from_slice(line.as_bytes());
        if self.buffer.len() >= FRAME {
            self.flush()?;
        }
        Ok(())
    }

    /// Keeps a line that is too much, until others come that are nearer to the end.
    fn hold(&mut self, line: String) {
        self.tail_bytes += line.len();
        self.tail.push_back(line);
        while self.tail_bytes > TAIL {
            let Some(gone) = self.tail.pop_front() else {
                break;
            };
            self.tail_bytes -= gone.len();
            self.left_out += gone.len() as u64;
        }
    }

    /// Writes what is in no frame yet as one.
    pub(in crate::builds) fn flush(&mut self) -> io::Result<u64> {
        if !self.buffer.is_empty() {
            let frame = self.compressor.compress(&self.buffer)?;
            self.file.write_all(&frame)?;
            self.written += self.buffer.len() as u64;
            self.buffer.clear();
        }
        Ok(self.written)
    }

    /// Writes the end of what was too much, and everything to the disk.
    pub(in crate::builds) fn finish(mut self, at: u64) -> io::Result<u64> {
        if self.left_out > 0 {
            let text = format!("{} bytes are left out here", self.left_out);
            self.put(&Entry::Note(text).encode(at))?;
        }
        for line in std::mem::take(&mut self.tail) {
            self.put(&line)?;
        }
        self.flush()?;
        self.file.sync_all()?;
        self.phases.sync_all()?;
        Ok(self.written)
    }
}

fn json_line(phase: &PhaseAt) -> Vec<u8> {
    let mut line = serde_json::to_vec(phase).unwrap_or_default();
    line.push(b'\n');
    line
}
