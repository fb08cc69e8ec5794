//! Link objects follow the index.
//!
//! A transaction that changes what a link must say also writes a journal row for it. *Settling* a
//! link reads what the index says now and makes the object say it, under a lock for that link. So
//! it does not matter who settles, how often, or in which order: two racing tag moves end with the
//! object at whichever the index has, and a crash in between is mended by settling again later: in
//! the background, for nobody who is served looks at a link.
//! A row is forgotten only after a sync that came after its link was written: the look that told
//! what to write also tells which rows it settles, so one that was written since stays.

mod background;

#[cfg(test)]
mod tests;

pub(crate) use background::keep_up;

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::future::ready;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use oci::{Digest, Manifest, MediaType, RepoName, Tag};
use tokio::sync::Mutex as AsyncMutex;

use crate::index::{Link, LinkState};
use crate::layout::Place;
use crate::{Durability, Index, ObjectStore, OpenError, StorageError, layout};

/// Links settled before a reply, and before anybody is served. The others follow in the background: a manifest may have
/// 100,000 tags, and a journal may be longer.
const AT_ONCE: usize = 100;
/// Rows handled at a time.
const ROWS: usize = 10_000;
/// Links settled at once when the journal is replayed.
const PARALLEL: usize = 32;
/// Locks; two links that share one only wait for each other.
const LOCKS: usize = 256;

/// Keeps link objects at what the index says.
#[derive(Debug)]
pub(crate) struct Mirror {
    store: Arc<dyn ObjectStore>,
    index: Arc<dyn Index>,
    locks: Box<[AsyncMutex<()>]>,
    hasher: RandomState,
    /// Rows whose links are written but not synced.
    settled: Mutex<Vec<i64>>,
    /// The journal has links that nobody has settled yet, or could not.
    is_behind: AtomicBool,
    /// One at a time settles what the journal holds.
    catching_up: AsyncMutex<()>,
}

/// Links that could not be written.
#[derive(Debug, Default)]
struct Unwritten {
    links: usize,
    first: Option<StorageError>,
}

impl Unwritten {
    fn note(&mut self, settled: Result<(), StorageError>) {
        if let Err(error) = settled {
            self.links += 1;
            self.first.get_or_insert(error);
        }
    }

    /// One line, however many there are.
    fn tell(&self) {
        if let Some(error) = &self.first {
            tracing::warn!(links = self.links, %error, "links are not written yet; the journal keeps them");
        }
    }
}

impl Mirror {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, index: Arc<dyn Index>) -> Self {
        Self {
            store,
            index,
            locks: (0..LOCKS).map(|_| AsyncMutex::default()).collect(),
            hasher: RandomState::new(),
            settled: Mutex::default(),
            is_behind: AtomicBool::new(false),
            catching_up: AsyncMutex::default(),
        }
    }

    /// Makes the objects of these links say what the index says, but for those that are too many to wait for.
    ///
    /// Never fails: what was asked for is durable in the index, and the journal remembers a link that cannot be written
    /// now. To tell the client of a failure would be to tell it that nothing had changed.
    pub(crate) async fn settle(&self, links: &[Link]) {
        self.settle_knowing(links, None).await;
    }

    /// The same for what a push changed, without reading the manifest that was just written.
    pub(crate) async fn settle_push(&self, links: &[Link], pushed: &Manifest) {
        self.settle_knowing(links, Some(pushed)).await;
    }

    async fn settle_knowing(&self, links: &[Link], known: Option<&Manifest>) {
        let (now, later) = links.split_at(links.len().min(AT_ONCE));
        let mut unwritten = Unwritten::default();
        for link in now {
            unwritten.note(self.settle_one(link, known).await);
        }
        unwritten.tell();
        if unwritten.links > 0 || !later.is_empty() {
            self.is_behind.store(true, Ordering::Relaxed);
        }
    }

    async fn settle_one(&self, link: &Link, known: Option<&Manifest>) -> Result<(), StorageError> {
        // The remainder is below LOCKS, and a number that small fits.
        #[expect(clippy::cast_possible_truncation, reason = "below 256")]
        let lock = (self.hasher.hash_one(link) % LOCKS as u64) as usize;
        let _settling = self.locks[lock].lock().await;
        self.write(link, known).await
    }

    /// Settles what an earlier server left, but for what is too much to wait for.
    pub(crate) async fn begin(&self) -> Result<(), StorageError> {
        let rows = self.index.journal(0, AT_ONCE + 1).await?;
        let links: Vec<Link> = rows.into_iter().map(|row| row.link).collect();
        self.settle(&links).await;
        Ok(())
    }

    /// Settles whatever the journal holds, and tells how many links could not be written: they stay there.
    ///
    /// Once the disk is full the rest is not tried. Nor is anything given up half way: a write that goes on alone could
    /// overtake a later one.
    pub(crate) async fn replay(&self) -> Result<usize, StorageError> {
        let mut unwritten = Unwritten::default();
        let is_full = AtomicBool::new(false);
        let mut after = 0;
        while !is_full.load(Ordering::Relaxed) {
            let rows = self.index.journal(after, ROWS).await?;
            let Some(last) = rows.last() else {
                break;
            };
            after = last.id;
            let mut seen = HashSet::new();
            let links = rows.into_iter().map(|row| row.link);
            let links: Vec<Link> = links.filter(|link| seen.insert(link.clone())).collect();
            tracing::info!(
                links = links.len(),
                "settling links that were not settled or synced"
            );
            let mut settled = stream::iter(links)
                .take_while(|_| ready(!is_full.load(Ordering::Relaxed)))
                .map(|link| async move { self.settle_one(&link, None).await })
                .buffer_unordered(PARALLEL);
            while let Some(settled) = settled.next().await {
                if matches!(settled, Err(StorageError::Full)) {
                    is_full.store(true, Ordering::Relaxed);
                }
                unwritten.note(settled);
            }
            self.flush().await?;
        }
        unwritten.tell();
        Ok(unwritten.links)
    }

    /// Entries in the journal.
    pub(crate) async fn pending(&self) -> Result<usize, StorageError> {
        let (mut after, mut count) = (0, 0);
        loop {
            let rows = self.index.journal(after, ROWS).await?;
            let Some(last) = rows.last() else {
                return Ok(count);
            };
            after = last.id;
            count += rows.len();
        }
    }

    /// Makes settled links durable and forgets their rows.
    pub(crate) async fn flush(&self) -> Result<(), StorageError> {
        let rows = std::mem::take(&mut *self.settled());
        if rows.is_empty() {
            return Ok(());
        }
        let flushed = match self.store.flush().await {
            Ok(()) => self.index.clear_journal(&rows).await,
            Err(error) => Err(error.into()),
        };
        if flushed.is_err() {
            self.settled().extend(rows);
        }
        flushed
    }

    /// Flushes; first settles what was not settled when it was its time. False: some of it cannot be now.
    pub(crate) async fn catch_up(&self) -> Result<bool, StorageError> {
        let _catching_up = self.catching_up.lock().await;
        if !self.is_behind.swap(false, Ordering::Relaxed) {
            return self.flush().await.map(|()| true);
        }
        let replayed = self.replay().await;
        let is_done = matches!(replayed, Ok(0));
        if !is_done {
            self.is_behind.store(true, Ordering::Relaxed);
        }
        replayed.map(|_| is_done)
    }

    fn is_behind(&self) -> bool {
        self.is_behind.load(Ordering::Relaxed)
    }

    fn settled(&self) -> MutexGuard<'_, Vec<i64>> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn write(&self, link: &Link, known: Option<&Manifest>) -> Result<(), StorageError> {
        let (state, rows) = self.index.link(link).await?;
        match (link, state) {
            (Link::Layer(repo, digest), LinkState::Absent) => {
                self.store.delete(&layout::layer(repo, digest)).await?;
            }
            (Link::Layer(repo, digest), _) => {
                self.put(&layout::layer(repo, digest), &digest.to_string())
                    .await?;
            }
            (Link::Revision(repo, digest), LinkState::Revision(media_type)) => {
                let known = known.filter(|known| known.digest() == *digest);
                let told = match known {
                    Some(manifest) => oci::inferred_media_type(manifest.bytes()),
                    None => self.read_told(digest).await?,
                };
                let is_told = told.as_ref() == Some(&media_type);
                self.write_revision(repo, digest, &media_type, is_told)
                    .await?;
            }
            (Link::Revision(repo, digest), _) => {
                self.store.delete(&layout::media_type(repo, digest)).await?;
                self.store.delete(&layout::revision(repo, digest)).await?;
            }
            (Link::Tag(repo, tag), LinkState::Tag(digest)) => {
                let text = digest.to_string();
                self.put(&layout::tag_index(repo, tag, &digest), &text)
                    .await?;
                self.put(&layout::tag_current(repo, tag), &text).await?;
            }
            (Link::Tag(repo, tag), _) => self.delete_tag(repo, tag).await?,
        }
        self.settled().extend(rows);
        Ok(())
    }

    /// The media type goes beside the link only where the manifest's bytes do not tell it.
    async fn write_revision(
        &self,
        repo: &RepoName,
        digest: &Digest,
        media_type: &MediaType,
        is_told: bool,
    ) -> Result<(), StorageError> {
        let beside = layout::media_type(repo, digest);
        if is_told {
            // It is almost never there; but one that somebody else left would be believed by the next reindex.
            self.store.delete(&beside).await?;
        } else {
            self.put(&beside, media_type.as_str()).await?;
        }
        self.put(&layout::revision(repo, digest), &digest.to_string())
            .await
    }

    /// The media type that a manifest's bytes tell.
    async fn read_told(&self, digest: &Digest) -> Result<Option<MediaType>, StorageError> {
        match crate::catalog::read(&self.store, digest).await {
            Ok(bytes) => Ok(oci::inferred_media_type(&bytes)),
            // Damage to the manifest is no reason to lose what is known of it.
            Err(StorageError::Corrupt { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The root goes first: without `current`, the rest is no tag.
    async fn delete_tag(&self, repo: &RepoName, tag: &Tag) -> Result<(), StorageError> {
        self.store.delete(&layout::tag_current(repo, tag)).await?;
        let mut rest = self.store.list(&layout::tag(repo, tag), None);
        while let Some(meta) = rest.try_next().await? {
            self.store.delete(&meta.key).await?;
        }
        Ok(())
    }

    async fn put(&self, key: &crate::Key, text: &str) -> Result<(), StorageError> {
        let body = Bytes::copy_from_slice(text.as_bytes());
        Ok(self.store.put(key, body, Durability::AtFlush).await?)
    }
}

/// Refuses an index that knows nothing of the repositories in the store.
pub(crate) async fn refuse_foreign(
    store: &Arc<dyn ObjectStore>,
    index: Option<&Arc<dyn Index>>,
) -> Result<(), OpenError> {
    if is_new(index).await? && holds_content(store).await? && is_new(index).await? {
        return Err(OpenError::Unindexed);
    }
    Ok(())
}

/// Asked before and after: beside a server, the very first push may come between.
async fn is_new(index: Option<&Arc<dyn Index>>) -> Result<bool, StorageError> {
    match index {
        Some(index) => index.is_new().await,
        None => Ok(true),
    }
}

/// Unfinished uploads are no content: a server that was killed during the very first push must start again.
async fn holds_content(store: &Arc<dyn ObjectStore>) -> Result<bool, StorageError> {
    let mut objects = store.list(&layout::repositories(), None);
    while let Some(meta) = objects.try_next().await? {
        if !matches!(layout::parse(meta.key.as_str()), Some(Place::Upload(..))) {
            return Ok(true);
        }
    }
    Ok(false)
}
