//! Facts on their way into the index, many to a transaction.

use std::collections::HashSet;

use oci::{Digest, RepoName};

use super::read::Read;
use super::{Progress, Reindexed};
use crate::fsck::{Finding, Kind};
use crate::index::Fact;
use crate::{Index, Key, StorageError};

/// Facts recorded at once.
const FACTS: usize = 1_000;
/// Bytes of manifests recorded at once.
const BYTES: usize = 16 << 20;

pub(super) struct Batch<'a> {
    index: &'a dyn Index,
    progress: &'a (dyn Fn(Progress) + Sync),
    reindexed: Reindexed,
    keys: Vec<Key>,
    facts: Vec<Fact>,
    bytes: usize,
    /// Of the last fact: all of a repository's come together, its blobs before its manifests.
    repo: Option<RepoName>,
    /// Blobs that it held once and that are gone.
    gone: HashSet<Digest>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(index: &'a dyn Index, progress: &'a (dyn Fn(Progress) + Sync)) -> Self {
        Self {
            index,
            progress,
            reindexed: Reindexed::default(),
            keys: Vec::new(),
            facts: Vec::new(),
            bytes: 0,
            repo: None,
            gone: HashSet::new(),
        }
    }

    pub(super) async fn add(&mut self, read: Read) -> Result<(), StorageError> {
        self.reindexed.recorded.hashed_bytes += read.hashed_bytes;
        if let Some(finding) = read.finding {
            self.reindexed.findings.add(finding);
        }
        for (key, fact) in read.facts {
            if let Fact::Manifest { manifest, .. } = &fact {
                self.bytes += manifest.bytes().len();
            }
            self.keys.push(key);
            self.facts.push(fact);
        }
        if self.facts.len() >= FACTS || self.bytes >= BYTES {
            self.load().await?;
        }
        Ok(())
    }

    /// Records what is left.
    pub(super) async fn finish(mut self) -> Result<Reindexed, StorageError> {
        self.load().await?;
        Ok(self.reindexed)
    }

    async fn load(&mut self) -> Result<(), StorageError> {
        let facts = std::mem::take(&mut self.facts);
        let kinds: Vec<Loaded> = facts.iter().map(Loaded::of).collect();
        let groundless = self.index.load(facts).await?;
        self.bytes = 0;
        let mut groundless = groundless.into_iter().peekable();
        for (place, (key, loaded)) in std::mem::take(&mut self.keys)
            .into_iter()
            .zip(kinds)
            .enumerate()
        {
            let is_recorded = groundless.next_if_eq(&place).is_none();
            self.settle(&key, &loaded, is_recorded);
        }
        (self.progress)(self.reindexed.recorded);
        Ok(())
    }

    /// Counts what was recorded, and finds what was not.
    fn settle(&mut self, key: &Key, loaded: &Loaded, is_recorded: bool) {
        let is_first = self.enter(loaded);
        let Reindexed { recorded, findings } = &mut self.reindexed;
        if is_first {
            recorded.repositories += 1;
        }
        match loaded {
            Loaded::Blob => recorded.blobs += 1,
            Loaded::Layer(..) if is_recorded => recorded.layers += 1,
            Loaded::Layer(_, digest) => {
                self.gone.insert(*digest);
                let what = "a link to a blob that is not there; it was left out";
                findings.add(Finding::new(Kind::LinkLeftover, key, what));
            }
            Loaded::Manifest(repo, needed) => {
                recorded.manifests += 1;
                for gone in needed.iter().filter(|needed| self.gone.contains(needed)) {
                    let what = format!("it needs {gone}, which {repo} held once and which is gone");
                    findings.add(Finding::new(Kind::ManifestIncomplete, key, what));
                }
            }
            Loaded::Tag(..) if is_recorded => recorded.tags += 1,
            Loaded::Tag(repo, digest) => {
                let what =
                    format!("points to {digest}, which {repo} does not hold; it was left out");
                findings.add(Finding::new(Kind::TagDangling, key, what));
            }
            Loaded::Uncounted => {}
        }
    }

    /// Whether this is the first of its repository.
    fn enter(&mut self, loaded: &Loaded) -> bool {
        let (Loaded::Layer(repo, _) | Loaded::Manifest(repo, _) | Loaded::Tag(repo, _)) = loaded
        else {
            return false;
        };
        let is_first = self.repo.as_ref() != Some(repo);
        if is_first {
            self.repo = Some(repo.clone());
            self.gone.clear();
        }
        is_first
    }
}

/// What is remembered of a fact until it is known whether it was recorded.
enum Loaded {
    Blob,
    Layer(RepoName, Digest),
    /// With the blobs that it needs.
    Manifest(RepoName, Vec<Digest>),
    Tag(RepoName, Digest),
    Uncounted,
}

impl Loaded {
    fn of(fact: &Fact) -> Self {
        match fact {
            Fact::Blob { .. } => Self::Blob,
            Fact::Layer { repo, digest } => Self::Layer(repo.clone(), *digest),
            Fact::Manifest { repo, manifest } => {
                let needed = manifest.required_blobs().map(|blob| blob.digest);
                Self::Manifest(repo.clone(), needed.collect())
            }
            Fact::Tag { repo, digest, .. } => Self::Tag(repo.clone(), *digest),
            Fact::Stale(_) | Fact::Token(_) => Self::Uncounted,
        }
    }
}
