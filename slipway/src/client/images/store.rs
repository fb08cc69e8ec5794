//! A place that has images: a repository or a folder.

use bytes::Bytes;
use futures_util::stream::BoxStream;
use oci::{Descriptor, Digest, Manifest, Reference};

use super::failure::Failure;
use super::layout::Layout;
use super::progress::Progress;
use super::repository::Repository;

/// Bytes on their way, or why there are no more.
pub(super) type ByteStream = BoxStream<'static, Result<Bytes, Failure>>;

/// Where images are read from and written to.
pub(super) enum Store {
    Repository(Repository),
    Layout(Layout),
}

/// What became of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrived {
    /// It was there already.
    Present,
    /// The registry took it over from another repository of its own.
    Mounted,
    /// Its bytes were sent.
    Sent,
}

impl Store {
    /// A manifest; `None` where there is none.
    pub(super) async fn manifest(&self, reference: &Reference) -> anyhow::Result<Option<Manifest>> {
        match self {
            Self::Repository(repository) => repository.manifest(reference).await,
            Self::Layout(layout) => layout.manifest(reference),
        }
    }

    pub(super) async fn referrers(&self, subject: Digest) -> anyhow::Result<Vec<Descriptor>> {
        match self {
            Self::Repository(repository) => repository.referrers(subject).await,
            Self::Layout(layout) => layout.referrers(subject),
        }
    }

    pub(super) async fn open_blob(
        &self,
        digest: Digest,
        offset: u64,
    ) -> Result<ByteStream, Failure> {
        match self {
            Self::Repository(repository) => repository.open_blob(digest, offset).await,
            Self::Layout(layout) => layout.open_blob(digest, offset).await,
        }
    }

    /// A blob that is small enough to be read as a whole; checked.
    pub(super) async fn small_blob(&self, blob: &Descriptor) -> anyhow::Result<Bytes> {
        match self {
            Self::Repository(repository) => repository.small_blob(blob).await,
            Self::Layout(layout) => layout.small_blob(blob).await,
        }
    }

    /// Brings a blob here, in the cheapest way there is.
    pub(super) async fn take_blob(
        &self,
        blob: &Descriptor,
        source: &Self,
        progress: &Progress,
    ) -> anyhow::Result<Arrived> {
        match self {
            Self::Layout(layout) if layout.has_blob(blob)? => Ok(Arrived::Present),
            Self::Layout(layout) => {
                layout.receive(blob, source, progress).await?;
                Ok(Arrived::Sent)
            }
            Self::Repository(here) => {
                if here.has_blob(blob.digest).await? {
                    return Ok(Arrived::Present);
                }
                if let Self::Repository(there) = source
                    && there.session.is_same(&here.session)
                    && here.mount(blob.digest, there.name()).await?
                {
                    return Ok(Arrived::Mounted);
                }
                here.upload(blob, source, progress).await?;
                Ok(Arrived::Sent)
            }
        }
    }

    /// Stores a manifest that the root of what is copied leads to; says whether it is listed among its subject's referrers
    /// by that.
    pub(super) async fn put_manifest(
        &self,
        reference: &Reference,
        manifest: &Manifest,
    ) -> anyhow::Result<bool> {
        match self {
            Self::Repository(repository) => repository.put_manifest(reference, manifest).await,
            Self::Layout(layout) => {
                layout.put_manifest(reference, manifest)?;
                Ok(true)
            }
        }
    }

    pub(super) fn place(&self, reference: &Reference) -> String {
        match self {
            Self::Repository(repository) => repository.place(reference),
            Self::Layout(layout) => layout.place(reference),
        }
    }
}
