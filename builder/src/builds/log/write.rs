//! Writing a log.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use super::files::Files;
use super::line::{Entry, PhaseAt};
use super::tail::{Line, Tail};
use crate::driver::Phase;

/// A frame holds so many bytes of text, and the line that went over.
pub(super) const FRAME: usize = 64 << 10;

/// Writes the log of one run. Blocks.
///
/// What cannot be written, because a disk is full, is kept and tried again with each [`LogWriter::flush`]. Of what becomes too
/// much until then the end is kept, and a line says how much is lost.
pub(in crate::builds) struct LogWriter {
    folder: PathBuf,
    /// `None` before they could be opened.
    files: Option<Files>,
    /// Lines that are in no frame yet.
    buffer: Vec<u8>,
    /// How many bytes of text are in frames.
    written: u64,
    /// Phases whose lines are in a frame, and that are not listed yet.
    unlisted: VecDeque<PhaseAt>,
    limit: u64,
    /// The end of what is more than `limit`.
    tail: Tail,
    /// What came since something was not to be written; `None` while all is well.
    backlog: Option<Tail>,
}

impl LogWriter {
    /// Writes the log in a folder that is made if it is not there; goes on after the last whole frame. What comes after
    /// `limit` bytes of text is left out, but for the end.
    pub(in crate::builds) fn new(folder: &Path, limit: u64) -> Self {
        Self {
            folder: folder.to_owned(),
            files: None,
            buffer: Vec::with_capacity(FRAME),
            written: 0,
            unlisted: VecDeque::new(),
            limit,
            tail: Tail::default(),
            backlog: None,
        }
    }

    /// Writes an entry. An error says that it is kept, as all that comes until [`LogWriter::flush`] gets it written.
    pub(in crate::builds) fn write(&mut self, at: u64, entry: &Entry) -> io::Result<()> {
        let line = Line::of(at, entry);
        if let Some(backlog) = &mut self.backlog {
            backlog.push(line);
            return Ok(());
        }
        let Some((line, error)) = self.take(line) else {
            return Ok(());
        };
        self.backlog.get_or_insert_default().push(line);
        Err(error)
    }

    /// Writes all that is in no frame yet.
    pub(in crate::builds) fn flush(&mut self) -> io::Result<()> {
        let flushed = self.catch_up().and_then(|()| self.flush_buffer());
        if flushed.is_err() {
            self.backlog.get_or_insert_default();
        }
        flushed
    }

    /// Writes all that there is, with the end of what was too much, to the disk. It may be called again after an error.
    pub(in crate::builds) fn finish(&mut self, at: u64) -> io::Result<()> {
        self.flush()?;
        if self.tail.left_out > 0 {
            let text = format!("{} bytes are left out here", self.tail.left_out);
            self.put(&Entry::Note(text).encode(at))?;
            self.tail.left_out = 0;
        }
        while let Some((place, line)) = self.tail.take_first() {
            if let Err(error) = self.put(&line.text) {
                self.tail.put_back(place, line);
                return Err(error);
            }
        }
        self.flush_buffer()?;
        self.files()?.sync()
    }

    /// How many bytes of text can be read.
    pub(in crate::builds) fn written(&self) -> u64 {
        self.written
    }

    /// Whether something could not be written, and waits for that.
    pub(in crate::builds) fn is_behind(&self) -> bool {
        self.backlog.is_some()
    }

    fn catch_up(&mut self) -> io::Result<()> {
        let Some(mut backlog) = self.backlog.take() else {
            return Ok(());
        };
        let caught = self.write_backlog(&mut backlog);
        if caught.is_err() {
            self.backlog = Some(backlog);
        }
        caught
    }

    fn write_backlog(&mut self, backlog: &mut Tail) -> io::Result<()> {
        self.flush_buffer()?;
        while let Some(at) = backlog.first().map(|line| line.at) {
            if backlog.left_out > 0 {
                let text = format!(
                    "{} bytes of the log are lost here: they could not be written",
                    backlog.left_out
                );
                let note = Line::of(at, &Entry::Note(text));
                if let Some((_, error)) = self.take(note) {
                    return Err(error);
                }
                backlog.left_out = 0;
            }
            let Some((place, line)) = backlog.take_first() else {
                break;
            };
            if let Some((line, error)) = self.take(line) {
                backlog.put_back(place, line);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Takes a line into the log; gives it back if that cannot be.
    fn take(&mut self, line: Line) -> Option<(Line, io::Error)> {
        let taken = match line.phase {
            Some(phase) => self.begin(&line.text, phase, line.at),
            None if self.written + self.buffer.len() as u64 > self.limit => {
                self.tail.push(line);
                return None;
            }
            None => self.put(&line.text),
        };
        taken.err().map(|error| (line, error))
    }

    /// A phase has a frame of its own, which is where it is found.
    fn begin(&mut self, text: &str, phase: Phase, at: u64) -> io::Result<()> {
        self.flush_buffer()?;
        let offset = self.written;
        self.buffer.extend_from_slice(text.as_bytes());
        if let Err(error) = self.write_frame() {
            self.buffer.clear();
            return Err(error);
        }
        self.unlisted.push_back(PhaseAt { phase, at, offset });
        // The line is taken: whoever flushes next hears of it.
        let _ = self.list_phases();
        Ok(())
    }

    fn put(&mut self, text: &str) -> io::Result<()> {
        if self.buffer.len() >= FRAME {
            self.flush_buffer()?;
        }
        self.buffer.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn flush_buffer(&mut self) -> io::Result<()> {
        self.list_phases()?;
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.write_frame()
    }

    /// Writes what is in no frame yet as one.
    fn write_frame(&mut self) -> io::Result<()> {
        let buffer = std::mem::take(&mut self.buffer);
        let appended = self.files().and_then(|files| files.append(&buffer));
        self.buffer = buffer;
        appended?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn list_phases(&mut self) -> io::Result<()> {
        while let Some(phase) = self.unlisted.front().copied() {
            self.files()?.append_phase(&phase)?;
            self.unlisted.pop_front();
        }
        self.files().map(drop)
    }

    fn files(&mut self) -> io::Result<&mut Files> {
        let files = if let Some(files) = self.files.take() {
            files
        } else {
            let (files, written) = Files::open(&self.folder)?;
            self.written = written;
            files
        };
        Ok(self.files.insert(files))
    }
}
