//! Clearing away what nobody will finish: sessions that are idle, and staged bytes that belong to no session. Those are of
//! Distribution, whose sessions nobody can go on with, or were left by a loss of power or by an index that was built anew.

use std::time::SystemTime;

use futures_util::TryStreamExt as _;
use oci::{RepoName, UploadId};

use super::Uploads;
use crate::layout::{self, Place};
use crate::{Key, Prefix, StorageError};

/// Sessions removed in one go.
const SESSIONS: usize = 1_000;

impl Uploads {
    /// Removes sessions that nobody has touched since `idle_since`, and staged bytes as old that belong to no session;
    /// returns how many of both.
    pub async fn purge(&self, idle_since: SystemTime) -> Result<usize, StorageError> {
        let mut purged = 0;
        loop {
            let idle = self.index.idle_uploads(idle_since, SESSIONS).await?;
            let mut removed = 0;
            for (id, repo) in &idle {
                removed += usize::from(self.purge_one(repo, id, idle_since).await?);
            }
            purged += removed;
            // What is left of a full page is being worked on, and would be listed again.
            if idle.len() < SESSIONS || removed == 0 {
                return Ok(purged + self.purge_orphans(idle_since).await?);
            }
        }
    }

    async fn purge_one(
        &self,
        repo: &RepoName,
        id: &UploadId,
        idle_since: SystemTime,
    ) -> Result<bool, StorageError> {
        let Ok(_working) = self.busy.take(id) else {
            return Ok(false);
        };
        // Once more, now that nobody can work on it: it may have gone on since the list was made.
        let session = self.index.upload(id).await?;
        let is_idle = session.is_some_and(|session| session.touched < idle_since);
        if is_idle {
            self.remove(repo, id).await?;
        }
        Ok(is_idle)
    }

    /// The bytes first: a session without bytes is purged one day, bytes without a session must be looked for.
    pub(super) async fn remove(&self, repo: &RepoName, id: &UploadId) -> Result<(), StorageError> {
        self.store.delete(&layout::staged(repo, id)).await?;
        self.index.delete_upload(id).await?;
        Ok(())
    }

    /// Looks where sessions may be, not where the index knows repositories: of one that never held anything it knows
    /// nothing. Links, of which there are far more than repositories, are passed by.
    async fn purge_orphans(&self, since: SystemTime) -> Result<usize, StorageError> {
        let mut purged = 0;
        let mut folders = vec![layout::repositories()];
        while let Some(folder) = folders.pop() {
            for below in self.store.folders(&folder).await? {
                match below.name() {
                    "_uploads" => purged += self.purge_orphans_in(&below, since).await?,
                    // No part of a repository's name begins so.
                    name if name.starts_with('_') => {}
                    _ => folders.push(below),
                }
            }
        }
        Ok(purged)
    }

    async fn purge_orphans_in(
        &self,
        uploads: &Prefix,
        since: SystemTime,
    ) -> Result<usize, StorageError> {
        let mut purged = 0;
        for key in self.orphans(uploads, since).await? {
            self.store.delete(&key).await?;
            purged += usize::from(key.as_str().ends_with("/data"));
        }
        Ok(purged)
    }

    /// Listed before any is deleted: the list would otherwise walk folders that go.
    async fn orphans(&self, uploads: &Prefix, since: SystemTime) -> Result<Vec<Key>, StorageError> {
        let mut orphans = Vec::new();
        let mut staged = self.store.list(uploads, None);
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
