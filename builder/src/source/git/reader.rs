//! Reading objects out of a repository: one program that is asked for all of them (git-cat-file(1), `--batch-command`).

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio_util::sync::CancellationToken;

use super::process::{Group, timed_out};
use super::revision::ObjectId;
use super::session::{Session, not_started};
use crate::source::{Fault, FaultClass, SourceLimits};

/// What an object is, and the bytes of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct About {
    pub(super) kind: ObjectKind,
    pub(super) size: u64,
}

/// The types of objects that are read (gitglossary(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ObjectKind {
    Blob,
    Commit,
    Tree,
}

/// A running `git cat-file`. All of it blocks, for as long as there is time and somebody waits. It goes when it is dropped.
#[derive(Debug)]
pub(super) struct Reader {
    child: Child,
    group: Option<Group>,
    stdin: ChildStdin,
    answers: BufReader<Answers>,
    limits: SourceLimits,
    /// Whether an answer was left in the middle: what comes is not of the next question.
    astray: bool,
}

/// Bytes of a commit that are read: more than people want to know of one.
const MAX_COMMIT: u64 = 256 << 10;

impl Reader {
    /// Starts it. It may be asked at once, and for what is fetched later, too.
    pub(super) fn start(
        session: &Session,
        limits: SourceLimits,
        until: Instant,
        stop: CancellationToken,
    ) -> Result<Self, Fault> {
        // It answers all that it was asked with one word, so that neither side waits for the other to read.
        let arguments = ["cat-file", "--batch-command", "--buffer"];
        let started = session.start(&arguments, u64::MAX, |mut command| {
            command
                .stdin(std::process::Stdio::piped())
                .stderr(std::process::Stdio::null())
                .spawn()
        });
        let (mut child, _) = started.map_err(|error| not_started(&error))?;
        let group = Some(Group::of(Some(child.id())));
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (stdin, pipe) =
            pipes.ok_or_else(|| Fault::new(FaultClass::Machine, "git has no pipes"))?;
        let answers = Answers { pipe, until, stop };
        Ok(Self {
            child,
            group,
            stdin,
            answers: BufReader::with_capacity(128 << 10, answers),
            limits,
            astray: false,
        })
    }

    /// What these objects are; `None` of one that is not here.
    pub(super) fn about<'a>(
        &mut self,
        ids: impl IntoIterator<Item = &'a ObjectId>,
    ) -> Result<Vec<Option<About>>, Fault> {
        let mut question = String::new();
        let mut asked = Vec::new();
        for id in ids {
            question.extend(["info ", id.as_str(), "\n"]);
            asked.push(id);
        }
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        self.ask(question)?;
        let found = asked.into_iter().map(|id| self.answer(id)).collect();
        self.astray = Result::is_err(&found);
        found
    }

    /// The beginning of a commit, and all of it if it is no longer than usual.
    pub(super) fn commit(&mut self, id: &ObjectId) -> Result<Vec<u8>, Fault> {
        let size = self.open(id, ObjectKind::Commit)?;
        let mut text = Vec::new();
        self.copy(id, size.min(MAX_COMMIT), &mut text)?;
        self.copy(id, size.saturating_sub(MAX_COMMIT), &mut io::sink())?;
        self.close(id)?;
        Ok(text)
    }

    /// The whole of a tree, if what it names is no more than a source may have.
    pub(super) fn tree(&mut self, id: &ObjectId) -> Result<Vec<u8>, Fault> {
        let size = self.open(id, ObjectKind::Tree)?;
        // Of an entry without its name: its mode, two signs, and its id.
        let entry = 10 + id.as_str().len() as u64 / 2;
        let entries = entry.saturating_mul(self.limits.entries as u64);
        if size > entries.saturating_add(self.limits.names()) {
            return Err(Fault::too_large(format!(
                "a folder of the source has more than {} files and folders",
                self.limits.entries
            )));
        }
        let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
        self.copy(id, size, &mut content)?;
        self.close(id)?;
        Ok(content)
    }

    /// Writes a file's content, which has so many bytes.
    pub(super) fn blob(
        &mut self,
        id: &ObjectId,
        size: u64,
        to: &mut dyn Write,
    ) -> Result<(), Fault> {
        if self.open(id, ObjectKind::Blob)? != size {
            return Err(Fault::hostile(format!("object {} changed", id.as_str())));
        }
        self.copy(id, size, to)?;
        self.close(id)
    }

    /// Asks for an object's content, which has so many bytes.
    fn open(&mut self, id: &ObjectId, kind: ObjectKind) -> Result<u64, Fault> {
        self.ask(format!("contents {}\n", id.as_str()))?;
        match self.answer(id)? {
            Some(about) if about.kind == kind => Ok(about.size),
            _ => Err(missing(id)),
        }
    }

    fn copy(&mut self, id: &ObjectId, size: u64, to: &mut dyn Write) -> Result<(), Fault> {
        let mut left = size;
        while left > 0 {
            let found = self.answers.fill_buf().map_err(|error| gone(&error))?;
            if found.is_empty() {
                return Err(cut(id));
            }
            let part = found.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let written = to.write_all(&found[..part]);
            written.map_err(|error| Fault::machine("the source's snapshot", &error))?;
            self.answers.consume(part);
            left -= part as u64;
        }
        Ok(())
    }

    /// After the content comes a line's end.
    fn close(&mut self, id: &ObjectId) -> Result<(), Fault> {
        let mut end = [0];
        match self.answers.read_exact(&mut end) {
            Ok(()) if end == *b"\n" => {
                self.astray = false;
                Ok(())
            }
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(gone(&error)),
            _ => Err(cut(id)),
        }
    }

    fn ask(&mut self, mut question: String) -> Result<(), Fault> {
        if std::mem::replace(&mut self.astray, true) {
            return Err(Fault::new(
                FaultClass::GitError,
                "an answer of git's was not read to its end",
            ));
        }
        question.push_str("flush\n");
        let asked = self.stdin.write_all(question.as_bytes());
        asked.map_err(|error| gone(&error))
    }

    /// The line that each answer begins with, here of this object: `<id> <type> <size>`, or `<id> missing`.
    fn answer(&mut self, of: &ObjectId) -> Result<Option<About>, Fault> {
        let mut line = Vec::new();
        let read = (&mut self.answers).take(256).read_until(b'\n', &mut line);
        read.map_err(|error| gone(&error))?;
        let line = String::from_utf8_lossy(&line);
        let mut words = line.trim_end().split(' ');
        if words.next() != Some(of.as_str()) {
            return Err(unreadable(&line));
        }
        let kind = match words.next() {
            Some("blob") => ObjectKind::Blob,
            Some("commit") => ObjectKind::Commit,
            Some("tree") => ObjectKind::Tree,
            Some("missing") => return Ok(None),
            _ => return Err(unreadable(&line)),
        };
        let size = words.next().and_then(|size| size.parse().ok());
        let size = size.ok_or_else(|| unreadable(&line))?;
        Ok(Some(About { kind, size }))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Killed by its number before it is waited for: after that the number may be another's.
        drop(self.group.take());
        let _ = self.child.wait();
    }
}

/// Standard output, for as long as there is time and somebody waits for what is read.
#[derive(Debug)]
struct Answers {
    pipe: ChildStdout,
    until: Instant,
    stop: CancellationToken,
}

/// How often it is looked whether anybody waits.
const LOOK: Duration = Duration::from_millis(100);

impl Read for Answers {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.stop.is_cancelled() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            let left = self.until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let wait = Timespec::try_from(left.min(LOOK)).map_err(io::Error::other)?;
            let mut pipe = [PollFd::new(&self.pipe, PollFlags::IN)];
            match poll(&mut pipe, Some(&wait)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return self.pipe.read(buffer),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn gone(error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::ConnectionAborted => Fault::stopped(),
        io::ErrorKind::TimedOut => timed_out(),
        _ => Fault::machine("reading from git", error),
    }
}

pub(super) fn missing(id: &ObjectId) -> Fault {
    Fault::lost(format!("object {} is not in the repository", id.as_str()))
}

fn cut(id: &ObjectId) -> Fault {
    Fault::lost(format!("object {} ends early", id.as_str()))
}

fn unreadable(line: &str) -> Fault {
    Fault::lost(format!(
        "git could not read the repository: it answered {:?}",
        line.trim_end()
    ))
}
