//! A fetched repository: a commit, its trees, its files. No network, no working copy.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::blocking::{Aside, blocking};
use super::commit;
use super::mirror::packs;
use super::process::{Allowance, run};
use super::reader::{Reader, missing};
use super::revision::ObjectId;
use super::session::Session;
use super::sessions::Sessions;
use super::trees::{Kind, find};
use crate::plan::Commit;
use crate::source::snapshot::Contents;
use crate::source::{Fault, FaultClass, SourceLimits};

/// A repository as it is on disk, and the program that reads it.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    reader: Arc<Aside<Mutex<Reader>>>,
    session: Arc<Session>,
    repository: PathBuf,
    until: Instant,
    limits: SourceLimits,
}

impl Objects {
    /// Begins to read. What is fetched afterwards is found, too.
    pub(crate) async fn of(
        repository: &Path,
        sessions: &Sessions,
        limits: SourceLimits,
        until: Instant,
        stop: CancellationToken,
    ) -> Result<Self, Fault> {
        let (repository, sessions) = (repository.to_path_buf(), sessions.clone());
        let begin = move || {
            let session = Session::local(&repository, &sessions)?;
            let reader = Reader::start(&session, limits, until, stop)?;
            Ok(Self {
                reader: Arc::new(Aside::new(Mutex::new(reader))),
                session: Arc::new(session),
                repository,
                until,
                limits,
            })
        };
        blocking(begin).await
    }

    /// What people want to know of a commit.
    pub(crate) async fn commit(&self, id: &ObjectId) -> Result<Commit, Fault> {
        let id = id.clone();
        let read = self.read(move |reader| Ok(commit::read(&id, &reader.commit(&id)?)));
        read.await
    }

    /// The tree of a commit at a path (empty: the root). Links are not followed.
    pub(crate) async fn tree(&self, commit: &ObjectId, path: &str) -> Result<ObjectId, Fault> {
        let (commit, path) = (commit.clone(), path.to_owned());
        self.read(move |reader| tree(reader, &commit, &path)).await
    }

    /// The blob of a plain file at a commit's root, if one is there.
    pub(crate) async fn file(
        &self,
        commit: &ObjectId,
        name: &'static str,
    ) -> Result<Option<ObjectId>, Fault> {
        let commit = commit.clone();
        let look = move |reader: &mut Reader| {
            let root = tree(reader, &commit, "")?;
            match find(reader, &root, name.as_bytes())? {
                None => Ok(None),
                Some((Kind::File { .. }, id)) => Ok(Some(id)),
                Some(_) => Err(Fault::hostile(format!(
                    "the repository's {name} is no plain file"
                ))),
            }
        };
        self.read(look).await
    }

    /// The size of a blob.
    pub(crate) async fn size(&self, blob: &ObjectId) -> Result<u64, Fault> {
        let blob = blob.clone();
        let look = move |reader: &mut Reader| {
            let about = reader.about([&blob])?.into_iter().next().flatten();
            about.map(|about| about.size).ok_or_else(|| missing(&blob))
        };
        self.read(look).await
    }

    /// The objects of a tree that are not here.
    pub(crate) async fn missing(&self, tree: &ObjectId) -> Result<Vec<ObjectId>, Fault> {
        let repository = self.repository.clone();
        if !blocking(move || Ok(lacks_content(&repository))).await? {
            return Ok(Vec::new());
        }
        // git before 2.44 would start a fetch for each of them if it were asked otherwise.
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
        let answer = self.ask(&arguments, output).await?;
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
        let answer = self.ask(&arguments, 256 << 10).await;
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

    /// Ends the program and removes its session, and returns when both are gone. Dropped, they go soon.
    pub(crate) async fn end(self) {
        if let Some(reader) = Arc::into_inner(self.reader) {
            reader.end().await;
        }
        Session::end(self.session).await;
    }

    /// Who reads it, for one at a time. What it does blocks.
    pub(super) fn reader(&self) -> MutexGuard<'_, Reader> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read<T: Send + 'static>(
        &self,
        what: impl FnOnce(&mut Reader) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let objects = self.clone();
        blocking(move || what(&mut objects.reader())).await
    }

    async fn ask(&self, arguments: &[&str], output: usize) -> Result<Vec<u8>, Fault> {
        let allowance = Allowance {
            until: self.until,
            output,
            growth: None,
        };
        let ended = run(&self.session, arguments, b"", allowance).await?;
        if ended.success {
            return Ok(ended.stdout);
        }
        let message = format!("git {} failed: {}", arguments[0], ended.printed);
        Err(Fault::lost(message))
    }
}

impl Contents<ObjectId> for Objects {
    fn copy(&mut self, id: &ObjectId, size: u64, to: &mut dyn Write) -> Result<(), Fault> {
        self.reader().blob(id, size, to)
    }
}

/// The tree of a commit at a path. Blocks.
fn tree(reader: &mut Reader, commit: &ObjectId, path: &str) -> Result<ObjectId, Fault> {
    let text = reader.commit(commit)?;
    let mut tree = commit::tree(&text).ok_or_else(|| {
        let message = format!("commit {} has no tree", commit.as_str());
        Fault::new(FaultClass::GitError, message)
    })?;
    let mut names = path.split('/').filter(|name| !name.is_empty()).peekable();
    while let Some(name) = names.next() {
        match find(reader, &tree, name.as_bytes())? {
            Some((Kind::Folder, id)) => tree = id,
            Some((Kind::File { .. } | Kind::Link, _)) if names.peek().is_none() => {
                return Err(Fault::hostile(format!(
                    "the context directory {path:?} is no folder of the repository"
                )));
            }
            _ => {
                return Err(Fault::new(
                    FaultClass::SourceContextDirNotFound,
                    format!(
                        "the commit has no folder {path:?}: the context directory is from the repository's root"
                    ),
                ));
            }
        }
    }
    Ok(tree)
}

/// Whether something was fetched into a repository without its files' content: git marks packs so (gitformat-pack(5), ".promisor").
fn lacks_content(repository: &Path) -> bool {
    let is_marked = |file: &PathBuf| file.extension() == Some("promisor".as_ref());
    packs(repository).iter().any(is_marked)
}
