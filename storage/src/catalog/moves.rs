//! Telling whoever waits for it that tags point elsewhere.

use oci::{Digest, RepoName, Tag};
use tokio::sync::broadcast::{Receiver, Sender};

use super::Catalog;

/// Moves that a slow listener may lag behind; then it is told that it has missed some.
const BEHIND: usize = 1024;

/// A tag was pointed at a manifest by this process; it may have pointed there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagMoved {
    /// Where.
    pub repo: RepoName,
    /// Which.
    pub tag: Tag,
    /// At what.
    pub digest: Digest,
}

pub(super) fn sender() -> Sender<TagMoved> {
    Sender::new(BEHIND)
}

impl Catalog {
    /// The tags that are moved from now on, each once it is durable. What other processes move is not among them, nor what
    /// was moved before a crash: who must not miss any looks at the tags themselves, too.
    pub fn moved_tags(&self) -> Receiver<TagMoved> {
        self.moved.subscribe()
    }

    pub(super) fn tell(&self, repo: &RepoName, tags: &[Tag], digest: Digest) {
        // Nobody may be listening.
        if self.moved.receiver_count() == 0 {
            return;
        }
        for tag in tags {
            let told = self.moved.send(TagMoved {
                repo: repo.clone(),
                tag: tag.clone(),
                digest,
            });
            drop(told);
        }
    }
}
