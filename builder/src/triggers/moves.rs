//! Tags that were moved since somebody last looked.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use oci::{RepoName, Tag};
use tokio::sync::Notify;

/// Most tags that are told apart.
const MOST: usize = 1000;

/// Takes up moved tags from the registry. It never waits and never fails: what is too much becomes "any tag".
#[derive(Debug, Default)]
pub struct Moves {
    pending: Mutex<Moved>,
    some: Notify,
}

/// What was moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moved {
    /// These.
    Tags(BTreeSet<(RepoName, Tag)>),
    /// It is not known which.
    Any,
}

impl Default for Moved {
    fn default() -> Self {
        Self::Tags(BTreeSet::new())
    }
}

impl Moved {
    /// Whether a tag may have been.
    pub fn has(&self, repo: &RepoName, tag: &Tag) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => tags.contains(&(repo.clone(), tag.clone())),
        }
    }
}

impl Moves {
    /// A tag was put somewhere.
    pub fn note(&self, repo: RepoName, tag: Tag) {
        let mut pending = self.pending();
        if let Moved::Tags(tags) = &mut *pending {
            tags.insert((repo, tag));
            if tags.len() > MOST {
                *pending = Moved::Any;
            }
        }
        drop(pending);
        self.some.notify_one();
    }

    /// Tags were moved that nobody told of.
    pub fn note_any(&self) {
        *self.pending() = Moved::Any;
        self.some.notify_one();
    }

    /// Waits until something was moved.
    pub(super) async fn wait(&self) {
        self.some.notified().await;
    }

    /// What was moved since it was last taken.
    pub fn take(&self) -> Moved {
        std::mem::take(&mut *self.pending())
    }

    fn pending(&self) -> MutexGuard<'_, Moved> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
