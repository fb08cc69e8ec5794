//! Facts on their way into the index, many to a transaction.

use oci::RepoName;

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
    /// Of the last fact: all of a repository's come together.
    repo: Option<RepoName>,
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
        for (place, (key, loaded)) in std::mem::take(&mut self.keys).into_iter().zip(kinds).enumerate()
        {
            if groundless.next_if_eq(&place).is_some() {
                self.reindexed.findings.extend(loaded.groundless(key));
            } else {
                self.count(loaded);
            }
        }
        (self.progress)(self.reindexed.recorded);
        Ok(())
    }

    fn count(&mut self, loaded: Loaded) {
        let recorded = &mut self.reindexed.recorded;
        let repo = match loaded {
            Loaded::Blob => {
                recorded.blobs += 1;
                return;
            }
            Loaded::Stale => return,
            Loaded::Layer(repo) => {
                recorded.layers += 1;
                repo
            }
            Loaded::Manifest(repo) => {
                recorded.manifests += 1;
                repo
            }
            Loaded::Tag(repo, _) => {
                recorded.tags += 1;
                repo
            }
        };
        if self.repo.as_ref() != Some(&repo) {
            recorded.repositories += 1;
            self.repo = Some(repo);
        }
    }
}

/// What is remembered of a fact until it is known whether it was recorded.
enum Loaded {
    Blob,
    Layer(RepoName),
    Manifest(RepoName),
    Tag(RepoName, oci::Digest),
    Stale,
}

impl Loaded {
    fn of(fact: &Fact) -> Self {
        match fact {
            Fact::Blob { .. } => Self::Blob,
            Fact::Layer { repo, .. } => Self::Layer(repo.clone()),
            Fact::Manifest { repo, .. } => Self::Manifest(repo.clone()),
            Fact::Tag { repo, digest, .. } => Self::Tag(repo.clone(), *digest),
            Fact::Stale(_) => Self::Stale,
        }
    }

    fn groundless(self, key: Key) -> Option<Finding> {
        match self {
            Self::Layer(_) => {
                let what = "a link to a blob that is not there; it was left out";
                Some(Finding::new(Kind::LinkLeftover, key, what))
            }
            Self::Tag(repo, digest) => {
                let what = format!("points to {digest}, which {repo} does not hold; it was left out");
                Some(Finding::new(Kind::TagDangling, key, what))
            }
            Self::Blob | Self::Manifest(_) | Self::Stale => None,
        }
    }
}
