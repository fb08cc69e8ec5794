//! Staged bytes that belong to no session: of Distribution, whose sessions nobody can go on with, or left by a loss of
//! power or by an index that was built anew.

use std::time::SystemTime;

use futures_util::TryStreamExt as _;
use oci::RepoName;

use super::Uploads;
use crate::layout::{self, Place};
use crate::{Key, StorageError};

/// Repositories looked at in one go.
const PAGE: usize = 1_000;

impl Uploads {
    /// Asks the index for repositories instead of walking the tree: there are far fewer of them than links.
    pub(super) async fn purge_orphans(&self, since: SystemTime) -> Result<usize, StorageError> {
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
