//! Builds the index from the objects.
//!
//! For directories that CNCF Distribution wrote, and for an index that was lost. The objects are
//! read in the order of their keys, in which leaves come before roots: blobs, then of each
//! repository its blobs, its manifests, its tags. So every fact finds its ground recorded already,
//! and nothing is kept but the batch at hand. What cannot be recorded is a finding; the objects
//! stay as they are.
//!
//! Before that, links that the old index has in its journal are settled: they do not say yet what
//! was acknowledged; and tokens of users and the audit record are taken over from it. What else the objects do not
//! hold is lost with the old index: upload sessions (clients start anew), and when something was pushed.

mod batch;
mod old;
mod read;

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use oci::{Digest, RepoName};
use serde::Serialize;

use crate::fsck::{Finding, Findings, Kind, object};
use crate::index::Fact;
use crate::index::sqlite::{OpenIndexError, rebuild};
use crate::layout::{self, Place};
use crate::{Index, Key, Meta, ObjectStore, StorageError, content};
use batch::Batch;
use read::{Read, link};

/// Objects read at once; each may be a manifest of 8 MiB.
const PARALLEL: usize = 16;

/// How to read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Read every blob and leave out those that are not what their digest says: who pushes them
    /// again then mends them. Manifests are always read.
    pub deep: bool,
    /// Do not ask the old index which links are out of date, and lose what only it knows: pushes and
    /// deletions whose links were not written.
    pub discard_journal: bool,
}

/// How far it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Distinct blobs and manifests in the store.
    pub blobs: u64,
    /// Repositories that hold or held anything.
    pub repositories: u64,
    /// Blobs of repositories.
    pub layers: u64,
    /// Manifests of repositories.
    pub manifests: u64,
    /// Tags.
    pub tags: u64,
    /// Bytes that were hashed.
    pub hashed_bytes: u64,
    /// Rows of the old index's audit record.
    pub audit_rows: u64,
    /// Records of the old index: builds, their runs, and others.
    pub records: u64,
}

/// What the new index holds, and what could not be recorded.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reindexed {
    /// How much was recorded.
    pub recorded: Progress,
    /// What is wrong with the rest.
    #[serde(flatten)]
    pub findings: Findings,
}

/// Why there is no new index. The old one is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ReindexError {
    /// The file cannot be made or replaced, or the old one cannot be asked.
    #[error(transparent)]
    Index(#[from] OpenIndexError),
    /// Objects could not be brought to what the old index says.
    #[error(
        "{links} changes that clients were told are done are in the old index only, and cannot be written to the \
         objects: mend the disk (is it full?) and try again, or lose them by --discard-journal"
    )]
    Unsettled {
        /// Entries left in the journal.
        links: usize,
    },
    /// The old index is damaged, but its journal is not empty.
    #[error(
        "{links} changes that clients were told are done are in the old index only, which is damaged: keep a copy of \
         it, and lose them by --discard-journal"
    )]
    Untrusted {
        /// Entries in the journal.
        links: usize,
    },
    /// The store or the new index does not answer.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Builds the index file `into` anew from the objects, beside the old one, and replaces that.
///
/// Nobody else may work with the file or the store. Where this is stopped, the old index stays.
pub async fn reindex(
    store: &Arc<dyn ObjectStore>,
    into: &Path,
    options: Options,
    now: SystemTime,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Reindexed, ReindexError> {
    if !options.discard_journal {
        old::settle(store, into).await?;
    }
    let rebuilt = rebuild(into)?;
    let mut reindexed = fill(store, rebuilt.index(), options, progress).await?;
    if let Some(old) = old::open(into, options.discard_journal)? {
        old::take_tokens(&old, rebuilt.index()).await?;
        reindexed.recorded.records = old::carry_records(&old, rebuilt.index()).await?;
        reindexed.recorded.audit_rows = old::carry_audit(&old, rebuilt.index()).await?;
    }
    rebuilt.index().finish_load(now).await?;
    rebuilt.put_in_place()?;
    Ok(reindexed)
}

/// Records everything in an index that is empty.
async fn fill(
    store: &Arc<dyn ObjectStore>,
    index: &dyn Index,
    options: Options,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Reindexed, StorageError> {
    let mut batch = Batch::new(index, progress);
    blobs(store, options, &mut batch).await?;
    repositories(store, &mut batch).await?;
    batch.finish().await
}

async fn blobs(
    store: &Arc<dyn ObjectStore>,
    options: Options,
    batch: &mut Batch<'_>,
) -> Result<(), StorageError> {
    let mut found = store
        .list(&layout::blobs(), None)
        .map_err(StorageError::from)
        .map_ok(|meta| blob(store, meta, options))
        .try_buffered(PARALLEL);
    while let Some(read) = found.try_next().await? {
        batch.add(read).await?;
    }
    Ok(())
}

async fn blob(
    store: &Arc<dyn ObjectStore>,
    meta: Meta,
    options: Options,
) -> Result<Read, StorageError> {
    let Meta { key, size, .. } = meta;
    let Some(Place::Blob(digest)) = layout::parse(key.as_str()) else {
        return Ok(Read::finding(Finding::new(
            Kind::FileUnknown,
            key,
            "not of the layout",
        )));
    };
    let fact = Read::fact(&key, Fact::Blob { digest, size });
    if !options.deep {
        return Ok(fact);
    }
    let Some(object) = object::open(&**store, &key).await? else {
        return Ok(Read::default());
    };
    let got = content::digest(object, digest.algorithm()).await?;
    let mut read = if got == digest {
        fact
    } else {
        let what = format!("its bytes have the digest {got}; it was left out");
        Read::finding(Finding::new(Kind::BlobHash, key, what))
    };
    read.hashed_bytes = size;
    Ok(read)
}

async fn repositories(
    store: &Arc<dyn ObjectStore>,
    batch: &mut Batch<'_>,
) -> Result<(), StorageError> {
    let mut objects = store.list(&layout::repositories(), None).peekable();
    let links = stream::try_unfold(&mut objects, async |objects| {
        let Some(meta) = objects.try_next().await? else {
            return Ok::<_, StorageError>(None);
        };
        let key = meta.key;
        let link = match layout::parse(key.as_str()) {
            Some(Place::Revision(repo, digest)) => {
                // A revision's media type is the next key, where there is one.
                let beside = layout::media_type(&repo, &digest);
                let is_beside = std::pin::Pin::new(&mut *objects)
                    .next_if(|next| next.as_ref().is_ok_and(|next| next.key == beside))
                    .await
                    .is_some();
                Link::Revision(repo, digest, is_beside.then_some(beside))
            }
            place => Link::of(place),
        };
        Ok(Some(((key, link), objects)))
    });
    let mut read = std::pin::pin!(
        links
            .map_ok(|(key, found)| link(store, key, found))
            .try_buffered(PARALLEL)
    );
    while let Some(read) = read.try_next().await? {
        batch.add(read).await?;
    }
    Ok(())
}

/// A key below the repositories, with what belongs to it.
enum Link {
    Layer(RepoName, Digest),
    Revision(RepoName, Digest, Option<Key>),
    Tag(RepoName, oci::Tag),
    Upload,
    /// Read with what it belongs to, or history.
    Nothing,
    Unknown,
}

impl Link {
    fn of(place: Option<Place>) -> Self {
        match place {
            Some(Place::Layer(repo, digest)) => Self::Layer(repo, digest),
            Some(Place::Revision(repo, digest)) => Self::Revision(repo, digest, None),
            Some(Place::TagCurrent(repo, tag)) => Self::Tag(repo, tag),
            Some(Place::Upload(..)) => Self::Upload,
            Some(Place::MediaType(..) | Place::TagIndex(..)) => Self::Nothing,
            Some(Place::Blob(_)) | None => Self::Unknown,
        }
    }
}
