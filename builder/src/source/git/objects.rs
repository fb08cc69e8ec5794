//! Reading a fetched repository: a commit, its trees, its files. No network, no working copy.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout};
use std::sync::Arc;
use std::time::Instant;

use super::process::{Allowance, Group, run, timed_out};
use super::revision::ObjectId;
use super::session::{Session, not_started};
use super::sessions::Sessions;
use crate::plan::Commit;
use crate::source::snapshot::Contents;
use crate::source::{Fault, FaultClass, SourceLimits};

/// A repository as it is on disk.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    session: Arc<Session>,
    until: Instant,
    limits: SourceLimits,
}

/// An entry of a tree (git-ls-tree(1)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) kind: Kind,
    pub(crate) id: ObjectId,
    /// From the tree that was listed.
    pub(crate) path: Vec<u8>,
}

/// What an entry is, by its mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Folder,
    File { executable: bool },
    Link,
    Submodule,
}

/// Bytes of one line of a listing: the longest path and some.
const LINE: usize = 5000;

impl Objects {
    pub(crate) fn of(
        repository: &Path,
        sessions: &Sessions,
        limits: SourceLimits,
        until: Instant,
    ) -> Result<Self, Fault> {
        Ok(Self {
            session: Arc::new(Session::local(repository, sessions)?),
            until,
            limits,
        })
    }

    /// What people want to know of a commit.
    pub(crate) async fn commit(&self, id: &ObjectId) -> Result<Commit, Fault> {
        let format = "--format=%an%x00%ae%x00%ad%x00%s";
        let arguments = [
            "log",
            "-1",
            "--no-mailmap",
            "--no-decorate",
            "--encoding=UTF-8",
            format,
            "--end-of-options",
            id.as_str(),
        ];
        let answer = self.ask(&arguments, b"").await?;
        let text = String::from_utf8_lossy(&answer).into_owned();
        let mut fields = text.trim_end_matches('\n').split('\0');
        // They become labels: not long, on one line.
        let mut next = || -> String {
            let field = fields.next().unwrap_or_default();
            let plain = field.chars().map(|c| if c.is_control() { ' ' } else { c });
            plain.take(500).collect()
        };
        Ok(Commit {
            id: id.as_str().to_owned(),
            reference: String::new(),
            author_name: next(),
            author_email: next(),
            date: next(),
            message: next(),
        })
    }

    /// The tree of a commit at a path (empty: the root). Links are not followed.
    pub(crate) async fn tree(&self, commit: &ObjectId, path: &str) -> Result<ObjectId, Fault> {
        let name = format!("{}:{path}", commit.as_str());
        let typed = self.ask_about(&name).await?;
        match typed {
            Some((id, kind)) if kind == "tree" => Ok(id),
            Some(_) => Err(Fault::hostile(format!(
                "the context directory {path:?} is no folder of the repository"
            ))),
            None => Err(Fault::new(
                FaultClass::SourceContextDirNotFound,
                format!(
                    "the commit has no folder {path:?}: the context directory is from the repository's root"
                ),
            )),
        }
    }

    /// The blob of a commit at a path, if a plain file is there.
    pub(crate) async fn file(
        &self,
        commit: &ObjectId,
        path: &str,
    ) -> Result<Option<ObjectId>, Fault> {
        let arguments = ["ls-tree", "-z", "--full-tree", commit.as_str(), "--", path];
        let answer = self.ask(&arguments, b"").await?;
        let entry = answer.split(|byte| *byte == 0).next().unwrap_or_default();
        if entry.is_empty() {
            return Ok(None);
        }
        let listed = parse(entry)?;
        match listed.kind {
            Kind::File { .. } if listed.path == path.as_bytes() => Ok(Some(listed.id)),
            _ => Err(Fault::hostile(format!(
                "the repository's {path} is no plain file"
            ))),
        }
    }

    /// The objects of a tree that are not here.
    pub(crate) async fn missing(&self, tree: &ObjectId) -> Result<Vec<ObjectId>, Fault> {
        let arguments = [
            "rev-list",
            "--objects",
            "--no-object-names",
            "--missing=print",
            "--end-of-options",
            tree.as_str(),
        ];
        let per_line = 66;
        let output = self.limits.entries.saturating_mul(per_line);
        let answer = self.ask_much(&arguments, b"", output).await?;
        let text = String::from_utf8_lossy(&answer);
        let missing = text.lines().filter_map(|line| line.strip_prefix('?'));
        Ok(missing.filter_map(ObjectId::parse).collect())
    }

    /// The values of a configuration file that is a blob, `key\nvalue` each (git-config(1), `-z`).
    pub(crate) async fn config(&self, blob: &ObjectId) -> Result<Vec<(String, String)>, Fault> {
        let arguments = [
            "config",
            "-z",
            "--no-includes",
            "--blob",
            blob.as_str(),
            "--list",
        ];
        let answer = self.ask(&arguments, b"").await;
        let answer = answer.map_err(|fault| match fault.class() {
            FaultClass::GitError => Fault::hostile(format!(
                "the repository's .gitmodules cannot be read: {fault}"
            )),
            _ => fault,
        })?;
        let text = String::from_utf8(answer)
            .map_err(|_| Fault::hostile("the repository's .gitmodules is not UTF-8"))?;
        let values = text.split('\0').filter_map(|entry| entry.split_once('\n'));
        Ok(values.map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
    }

    /// Calls `each` for every entry below a tree, folders before what is in them. Blocks.
    pub(crate) fn list(
        &self,
        tree: &ObjectId,
        mut each: impl FnMut(Listed) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let arguments = ["ls-tree", "-r", "-t", "-z", "--full-tree", tree.as_str()];
        let mut process = Local::start(&self.session, &arguments)?;
        let mut line = Vec::new();
        loop {
            line.clear();
            let mut bounded = (&mut process.stdout).take(LINE as u64);
            let read = bounded.read_until(0, &mut line);
            if read.map_err(|error| gone(&error))? == 0 {
                return process.end();
            }
            if line.pop() != Some(0) {
                return Err(Fault::hostile("the source has a path that is too long"));
            }
            if Instant::now() > self.until {
                return Err(timed_out());
            }
            each(parse(&line)?)?;
        }
    }

    /// Begins to read files. Blocks.
    pub(crate) fn blobs(&self) -> Result<Blobs, Fault> {
        let arguments = ["cat-file", "--batch"];
        Ok(Blobs {
            process: Local::start(&self.session, &arguments)?,
            until: self.until,
        })
    }

    /// Calls `each` with the size of every blob, in their order. Blocks.
    pub(crate) fn sizes(
        &self,
        blobs: &[ObjectId],
        mut each: impl FnMut(u64) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let arguments = ["cat-file", "--batch-check"];
        let mut process = Local::start(&self.session, &arguments)?;
        for blob in blobs {
            each(process.ask(blob)?)?;
        }
        Ok(())
    }

    async fn ask_about(&self, name: &str) -> Result<Option<(ObjectId, String)>, Fault> {
        let answer = self
            .ask(
                &["cat-file", "--batch-check"],
                format!("{name}\n").as_bytes(),
            )
            .await?;
        let text = String::from_utf8_lossy(&answer);
        let mut words = text.split_whitespace();
        let id = words.next().and_then(ObjectId::parse);
        Ok(id.zip(words.next().map(str::to_owned)))
    }

    async fn ask(&self, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>, Fault> {
        self.ask_much(arguments, input, 256 << 10).await
    }

    async fn ask_much(
        &self,
        arguments: &[&str],
        input: &[u8],
        output: usize,
    ) -> Result<Vec<u8>, Fault> {
        let allowance = Allowance {
            until: self.until,
            output,
            disk: None,
        };
        let ended = run(&self.session, arguments, input, allowance).await?;
        if ended.success {
            return Ok(ended.stdout);
        }
        Err(Fault::new(
            FaultClass::GitError,
            format!("git {} failed: {}", arguments[0], ended.printed),
        ))
    }
}

/// `<mode> <type> <id>\t<path>`.
fn parse(line: &[u8]) -> Result<Listed, Fault> {
    let odd = || Fault::hostile(format!("a tree has an entry {}", line.escape_ascii()));
    let tab = line
        .iter()
        .position(|byte| *byte == b'\t')
        .ok_or_else(odd)?;
    let head = std::str::from_utf8(&line[..tab]).map_err(|_| odd())?;
    let mut words = head.split(' ');
    let kind = match words.next() {
        Some("040000") => Kind::Folder,
        Some("100644" | "100664") => Kind::File { executable: false },
        Some("100755") => Kind::File { executable: true },
        Some("120000") => Kind::Link,
        Some("160000") => Kind::Submodule,
        _ => return Err(odd()),
    };
    let id = words.nth(1).and_then(ObjectId::parse).ok_or_else(odd)?;
    let path = line[tab + 1..].to_vec();
    Ok(Listed { kind, id, path })
}

/// Reads blobs one after the other.
pub(crate) struct Blobs {
    process: Local,
    until: Instant,
}

impl Contents<ObjectId> for Blobs {
    fn copy(&mut self, id: &ObjectId, size: u64, to: &mut dyn Write) -> Result<(), Fault> {
        if Instant::now() > self.until {
            return Err(timed_out());
        }
        let found = self.process.ask(id)?;
        if found != size {
            return Err(Fault::hostile(format!("object {} changed", id.as_str())));
        }
        let mut content = (&mut self.process.stdout).take(size);
        let copied = std::io::copy(&mut content, to);
        let copied = copied.map_err(|error| Fault::machine("the source's snapshot", &error))?;
        let mut end = [0];
        let ended = self.process.stdout.read_exact(&mut end);
        if copied != size || ended.is_err() {
            return Err(Fault::new(
                FaultClass::GitError,
                format!("object {} ends early", id.as_str()),
            ));
        }
        Ok(())
    }
}

/// A running command that reads a repository on this thread. It goes when it is dropped.
struct Local {
    child: std::process::Child,
    group: Option<Group>,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Local {
    fn start(session: &Session, arguments: &[&str]) -> Result<Self, Fault> {
        let started = session.start(arguments, u64::MAX, |mut command| {
            command
                .stdin(std::process::Stdio::piped())
                .stderr(std::process::Stdio::null())
                .spawn()
        });
        let (mut child, _) = started.map_err(|error| not_started(&error))?;
        let group = Group::of(Some(child.id()));
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (stdin, stdout) =
            pipes.ok_or_else(|| Fault::new(FaultClass::Machine, "git has no pipes"))?;
        Ok(Self {
            child,
            group: Some(group),
            stdin: Some(stdin),
            stdout: BufReader::with_capacity(128 * 1024, stdout),
        })
    }

    /// Asks `cat-file` for a blob and gives its size.
    fn ask(&mut self, id: &ObjectId) -> Result<u64, Fault> {
        let question = format!("{}\n", id.as_str());
        let asked = match &mut self.stdin {
            Some(stdin) => stdin.write_all(question.as_bytes()),
            None => Ok(()),
        };
        asked.map_err(|error| gone(&error))?;
        let mut answer = String::new();
        let read = (&mut self.stdout).take(256).read_line(&mut answer);
        read.map_err(|error| gone(&error))?;
        // "<id> blob <size>", or "<id> missing".
        let mut words = answer.trim_end().split(' ').skip(1);
        match (words.next(), words.next().map(str::parse)) {
            (Some("blob"), Some(Ok(size))) => Ok(size),
            _ => Err(Fault::new(
                FaultClass::GitError,
                format!("object {} is not in the repository", id.as_str()),
            )),
        }
    }

    fn end(mut self) -> Result<(), Fault> {
        drop(self.stdin.take());
        let status = self.child.wait().map_err(|error| gone(&error))?;
        if let Some(group) = self.group.take() {
            group.ended();
        }
        if status.success() {
            return Ok(());
        }
        Err(Fault::new(
            FaultClass::GitError,
            "git could not read the repository",
        ))
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // Killed by its number before it is waited for: after that the number may be another's.
        drop(self.group.take());
        let _ = self.child.wait();
    }
}

fn gone(error: &std::io::Error) -> Fault {
    Fault::machine("reading from git", error)
}
