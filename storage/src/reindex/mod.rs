//! The index again, out of the objects: after it was lost, or for a directory that CNCF Distribution wrote.
//!
//! One pass over the blobs, one over the repositories; neither is held in memory. Nothing that is damaged stops it: what
//! cannot be taken is left out and reported, and what the repository's clients push again heals it.

mod finding;
mod places;
mod read;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::{StreamExt as _, TryStreamExt as _};

use crate::index::Fact;
use crate::index::sqlite::{OpenIndexError, rebuild};
use crate::{Index, ObjectStore, StorageError, layout};
use read::{Found, Reader};

pub use finding::{Finding, Report};

/// Objects read at once.
const PARALLEL: usize = 16;
/// Facts in one transaction, and the bytes of manifests among them.
const BATCH: usize = 1_000;
const BATCH_BYTES: usize = 16 << 20;
/// Findings that are kept; more are counted.
const MAX_FINDINGS: usize = 10_000;

/// How thorough to be.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReindexOptions {
    /// Read every blob and leave out those that are not what their digest says. Manifests are read in any case.
    pub deep: bool,
}

/// How far it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Objects seen.
    pub objects: u64,
    /// Facts recorded.
    pub facts: u64,
    /// Findings so far.
    pub findings: u64,
}

/// Why there is no new index. The old one is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ReindexError {
    /// The index file.
    #[error(transparent)]
    Index(#[from] OpenIndexError),
    /// The store or the new index does not answer.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Builds a new SQLite index from the store beside `path`, then puts it in place. No server may be running.
pub async fn replace(
    store: &Arc<dyn ObjectStore>,
    path: &Path,
    options: ReindexOptions,
    now: SystemTime,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Report, ReindexError> {
    let new = rebuild(path)?;
    let report = load(store, new.index(), options, now, progress).await?;
    new.put_in_place()?;
    Ok(report)
}

/// Records what the store holds in an index that is new.
pub async fn load(
    store: &Arc<dyn ObjectStore>,
    index: &dyn Index,
    options: ReindexOptions,
    now: SystemTime,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Report, StorageError> {
    let mut loading = Loading {
        index,
        report: Report::default(),
        facts: Vec::new(),
        bytes: 0,
        progress: Progress::default(),
        tell: progress,
    };
    let reader = Reader {
        store: Arc::clone(store),
        deep: options.deep,
    };
    // Blobs first: a layer link says something only if its blob is there.
    for prefix in [layout::blobs(), layout::repositories()] {
        let places = places::grouped(store.list(&prefix, None));
        let mut found = places
            .map_ok(|place| reader.read(place))
            .try_buffered(PARALLEL)
            .boxed();
        while let Some(found) = found.try_next().await? {
            loading.take(found).await?;
        }
        loading.commit().await?;
    }
    index.finish_load(now).await?;
    Ok(loading.report)
}

/// Facts on their way into the index.
struct Loading<'a> {
    index: &'a dyn Index,
    report: Report,
    facts: Vec<Fact>,
    bytes: usize,
    progress: Progress,
    tell: &'a mut (dyn FnMut(Progress) + Send),
}

impl Loading<'_> {
    async fn take(&mut self, found: Found) -> Result<(), StorageError> {
        self.progress.objects += found.objects;
        for finding in found.findings {
            self.report.add(finding);
        }
        for fact in found.facts {
            if let Fact::Manifest { manifest, .. } = &fact {
                self.bytes += manifest.bytes().len();
            }
            self.facts.push(fact);
        }
        if self.facts.len() >= BATCH || self.bytes >= BATCH_BYTES {
            self.commit().await?;
        }
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), StorageError> {
        let facts = std::mem::take(&mut self.facts);
        self.bytes = 0;
        let outlines: Vec<Outline> = facts.iter().map(Outline::of).collect();
        let groundless = self.index.load(facts).await?;
        let mut groundless = groundless.into_iter().peekable();
        for (place, outline) in outlines.into_iter().enumerate() {
            if groundless.next_if_eq(&place).is_some() {
                if let Some(finding) = outline.finding {
                    self.report.add(finding);
                }
            } else {
                self.report.count(outline.kind);
                self.progress.facts += 1;
            }
        }
        self.progress.findings = self.report.found();
        (self.tell)(self.progress);
        Ok(())
    }
}

/// What is remembered of a fact while the index has it.
struct Outline {
    kind: Kind,
    /// What it means if the index refuses the fact.
    finding: Option<Finding>,
}

/// What kind of fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Blob,
    Layer,
    Manifest,
    Tag,
    Stale,
}

impl Outline {
    fn of(fact: &Fact) -> Self {
        let (kind, finding) = match fact {
            Fact::Blob { .. } => (Kind::Blob, None),
            Fact::Layer { repo, digest } => {
                let (repo, digest) = (repo.clone(), *digest);
                (
                    Kind::Layer,
                    Some(Finding::LayerWithoutBlob { repo, digest }),
                )
            }
            Fact::Manifest { .. } => (Kind::Manifest, None),
            Fact::Tag { repo, tag, digest } => {
                let (repo, tag, digest) = (repo.clone(), tag.clone(), *digest);
                (
                    Kind::Tag,
                    Some(Finding::TagWithoutManifest { repo, tag, digest }),
                )
            }
            Fact::Stale(_) => (Kind::Stale, None),
        };
        Self { kind, finding }
    }
}
