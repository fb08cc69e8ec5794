//! A ledger in one file, which a killed process leaves whole.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use builder::ledger::{Brief, Kept, Key, Kind, Ledger, LedgerError, Write};
use builder::records::{Run, StateKind};
use serde::{Deserialize, Serialize};

#[derive(Debug)]
pub(crate) struct FileLedger {
    path: PathBuf,
    writing: Mutex<()>,
    /// Whether nothing is written now.
    pub(crate) is_broken: AtomicBool,
    /// How many records of runs were read.
    pub(crate) runs_read: AtomicUsize,
    /// Of the next write of a run that stands so the answer is lost.
    pub(crate) loses: Mutex<Option<StateKind>>,
    /// Whoever waits for such an answer waits for ever.
    pub(crate) hangs: AtomicBool,
    /// No run that stands so is written now.
    pub(crate) refuses: Mutex<Option<StateKind>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Line {
    revision: u64,
    open: bool,
    #[serde(default)]
    brief: Option<String>,
    body: String,
}

/// By kind, namespace and name.
type Lines = BTreeMap<String, Line>;

impl FileLedger {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            writing: Mutex::default(),
            is_broken: AtomicBool::new(false),
            runs_read: AtomicUsize::new(0),
            loses: Mutex::default(),
            hangs: AtomicBool::new(false),
            refuses: Mutex::default(),
        }
    }

    /// The whole file, to look for what must not be in it.
    pub(crate) fn text(&self) -> String {
        std::fs::read_to_string(&self.path).unwrap_or_default()
    }

    fn load(&self) -> Lines {
        match std::fs::read(&self.path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap(),
            Err(_) => Lines::new(),
        }
    }

    fn all(&self, wanted: impl Fn(&Kept) -> bool, limit: usize) -> Vec<Kept> {
        let all = self.load();
        let mut all: Vec<Kept> = all.into_iter().map(kept).filter(wanted).collect();
        all.sort_by(|one, other| one.key.cmp(&other.key));
        all.truncate(limit);
        all
    }

    fn has_read(&self, kept: &[Kept]) {
        let runs = kept.iter().filter(|kept| kept.key.kind == Kind::Run);
        self.runs_read.fetch_add(runs.count(), Ordering::SeqCst);
    }

    /// Whether the answer is lost.
    fn write_now(&self, writes: Vec<Write>) -> Result<bool, LedgerError> {
        let is_refused = has_run(&writes, *self.refuses.lock().unwrap());
        if is_refused || self.is_broken.load(Ordering::SeqCst) {
            return Err(LedgerError::Unavailable("the disk is full".to_owned()));
        }
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = self.load();
        let is_lost = has_run(&writes, *self.loses.lock().unwrap());
        for write in writes {
            let (key, expected) = match &write {
                Write::Put { key, revision, .. } => (key.clone(), *revision),
                Write::Remove { key, revision } => (key.clone(), Some(*revision)),
            };
            let text = text(&key);
            if lines.get(&text).map(|line| line.revision) != expected {
                return Err(LedgerError::Conflict(key));
            }
            match write {
                Write::Put {
                    open, brief, body, ..
                } => {
                    let line = Line {
                        brief: brief.map(|brief| String::from_utf8(brief).unwrap()),
                        revision: expected.unwrap_or(0) + 1,
                        open,
                        body: String::from_utf8(body).unwrap(),
                    };
                    lines.insert(text, line);
                }
                Write::Remove { .. } => drop(lines.remove(&text)),
            }
        }
        let staged = self.path.with_extension("new");
        std::fs::write(&staged, serde_json::to_vec(&lines).unwrap()).unwrap();
        std::fs::rename(&staged, &self.path).unwrap();
        if is_lost {
            *self.loses.lock().unwrap() = None;
        }
        Ok(is_lost)
    }
}

/// Whether a run that stands so is among these.
fn has_run(writes: &[Write], state: Option<StateKind>) -> bool {
    writes.iter().any(|write| match write {
        Write::Put { key, body, .. } if key.kind == Kind::Run && state.is_some() => {
            let run: Run = serde_json::from_slice(body).unwrap();
            Some(run.state.kind()) == state
        }
        _ => false,
    })
}

fn text(key: &Key) -> String {
    format!("{}\n{}\n{}", key.kind.as_str(), key.namespace, key.name)
}

fn kept((text, line): (String, Line)) -> Kept {
    let mut parts = text.split('\n');
    let kind = parts.next().unwrap();
    Kept {
        key: Key {
            kind: *Kind::ALL
                .iter()
                .find(|known| known.as_str() == kind)
                .unwrap(),
            namespace: parts.next().unwrap().to_owned(),
            name: parts.next().unwrap().to_owned(),
        },
        revision: line.revision,
        open: line.open,
        body: line.body.into_bytes(),
    }
}

#[async_trait]
impl Ledger for FileLedger {
    async fn get(&self, key: &Key) -> Result<Option<Kept>, LedgerError> {
        let text = text(key);
        let found = self.load().remove(&text).map(|line| kept((text, line)));
        self.has_read(found.as_slice());
        Ok(found)
    }

    async fn write(&self, writes: Vec<Write>) -> Result<(), LedgerError> {
        let written = self.write_now(writes);
        match written {
            Ok(true) if self.hangs.load(Ordering::SeqCst) => std::future::pending().await,
            Ok(true) => Err(LedgerError::Unavailable("no answer".to_owned())),
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn list(
        &self,
        kind: Kind,
        namespace: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Kept>, LedgerError> {
        let wanted = |Kept { key, .. }: &Kept| {
            key.kind == kind
                && key.namespace == namespace
                && key.name.starts_with(prefix)
                && after.is_none_or(|after| key.name.as_str() > after)
        };
        let found = self.all(wanted, limit);
        self.has_read(&found);
        Ok(found)
    }

    async fn briefs(
        &self,
        kind: Kind,
        namespace: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Brief>, LedgerError> {
        let mut all = self.load();
        let wanted = |Kept { key, .. }: &Kept| {
            key.kind == kind
                && key.namespace == namespace
                && key.name.starts_with(prefix)
                && after.is_none_or(|after| key.name.as_str() > after)
        };
        let brief = |Kept { key, .. }: Kept| Brief {
            brief: all
                .remove(&text(&key))
                .and_then(|line| line.brief)
                .map(String::into_bytes),
            name: key.name,
        };
        Ok(self.all(wanted, limit).into_iter().map(brief).collect())
    }

    async fn open(
        &self,
        kind: Kind,
        after: Option<(&str, &str)>,
        limit: usize,
    ) -> Result<Vec<Kept>, LedgerError> {
        let wanted = |Kept { key, open, .. }: &Kept| {
            let place = (key.namespace.as_str(), key.name.as_str());
            key.kind == kind && *open && after.is_none_or(|after| place > after)
        };
        Ok(self.all(wanted, limit))
    }

    async fn namespaces(
        &self,
        kind: Kind,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, LedgerError> {
        let all = self.all(|kept| kept.key.kind == kind, usize::MAX);
        let mut found: Vec<String> = all.into_iter().map(|kept| kept.key.namespace).collect();
        found.dedup();
        found.retain(|namespace| after.is_none_or(|after| namespace.as_str() > after));
        found.truncate(limit);
        Ok(found)
    }

    async fn count(&self, kind: Kind, namespace: &str) -> Result<usize, LedgerError> {
        let of = |Kept { key, .. }: &Kept| key.kind == kind && key.namespace == namespace;
        Ok(self.all(of, usize::MAX).len())
    }
}

mod promises {
    use std::sync::Arc;

    use super::FileLedger;

    builder::ledger_suite!({
            let folder = tempfile::tempdir().unwrap();
            (Arc::new(FileLedger::new(&folder.path().join("ledger"))), folder)
        };
        a_record_comes_back_as_it_was_written,
        a_record_is_written_at_its_revision,
        kinds_and_namespaces_are_apart,
        lists_are_paged_by_name_and_prefix,
        what_is_said_of_records_is_listed_without_them,
        what_is_open_is_found_in_all_namespaces,
        namespaces_are_paged,
        records_of_a_namespace_are_counted,
        of_racing_writes_one_wins,
    );
}
