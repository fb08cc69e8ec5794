//! Clearing away what nobody will finish: sessions that are idle, and staged bytes that belong to no session. Those are of
//! Distribution, whose sessions nobody can go on with, or were left by a loss of power or by an index that was built anew.

use std::time::SystemTime;

use futures_util::TryStreamExt as _;
use oci::{RepoName, UploadId};

use super::Uploads;
use crate::layout::{self, Place};
use crate::{Key, StorageError};

/// Sessions removed in one go.
const SESSIONS: usize = 1_000;
/// Repositories looked at in one go.
const PAGE: usize = 1_000;

impl Uploads {
    /// Removes sessions that nobody has touched since `idle_since`, and staged bytes as old that belong to no session;
    /// returns how many of both.
    pub async fn purge(&self, idle_since: SystemTime) -> Result<usize, StorageError> {
        let mut purged = 0;
        for (id, repo) in self.index.idle_uploads(idle_since, SESSIONS).await? {
            let Ok(_working) = self.busy.take(&id) else {
                continue;
            };
            // Once more, now that nobody can work on it: it may have gone on since the list was made.
            let session = self.index.upload(&id).await?;
            if session.is_some_and(|session| session.touched < idle_since) {
                self.remove(&repo, &id).await?;
                purged += 1;
            }
        }
        Ok(purged + self.purge_orphans(idle_since).await?)
    }

    /// The bytes first: a session without bytes is purged one day, bytes without a session must be looked for.
    pub(super) async fn remove(&self, repo: &RepoName, id: &UploadId) -> Result<(), StorageError> {
        self.store.delete(&layout::staged(repo, id)).await?;
        self.index.delete_upload(id).await?;
        Ok(())
    }

    /// Asks the index for repositories instead of walking the tree: there are far fewer of them than links.
    async fn purge_orphans(&self, since: SystemTime) -> Result<usize, StorageError> {
        let mut purged = 0;
        let mut after = None;
        loop {
            let page = self.index.all_repositories(after.as_ref(), PAGE).await?;
            for repo in &page {
                for key in self.orphans(repo, since).await? {
                    self.store.delete(&key).await?;
                    purged += usize::from(key.as_str().ends_with("/data"));
                }
            }
            match page.last() {
                Some(last) => after = Some(last.clone()),
                None => return Ok(purged),
            }
        }
    }

    /// Listed before any is deleted: the list would otherwise walk folders that go.
    async fn orphans(&self, repo: &RepoName, since: SystemTime) -> Result<Vec<Key>, StorageError> {
        let mut orphans = Vec::new();
        let mut staged = self.store.list(&layout::uploads(repo), None);
        while let Some(meta) = staged.try_next().await? {
            let Some(Place::Upload(_, id)) = layout::parse(meta.key.as_str()) else {
                continue;
            };
            if meta.modified < since && self.index.upload(&id).await?.is_none() {
                orphans.push(meta.key);
            }
        }
        Ok(orphans)
    }
}
