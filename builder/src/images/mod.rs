//! What a build needs of a registry.
//!
//! The server's own registry is one in-process ([`Images`] is wired there); another would be spoken to over HTTP. What is
//! read and written is read and written with the rights of the [`Actor`] whom a run acts for, asked anew each time.

mod base;
mod layout;
mod name;
mod platform;
#[cfg(feature = "test-util")]
pub mod suite;

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use async_trait::async_trait;
use oci::{Digest, Manifest, Reference, RepoName, Tag};

use crate::records::Actor;

pub use base::{BaseImage, ReadError};
pub use layout::Layouts;
pub use name::{ImageName, InvalidImageName};
pub use platform::Platform;

/// A registry, as far as builds need it.
#[async_trait]
pub trait Images: fmt::Debug + Send + Sync + 'static {
    /// The same registry for a run of this name: what is changed by it is recorded as that run's doing.
    fn for_run(&self, run: &str) -> Arc<dyn Images>;

    /// Whether the actor may push to a repository, and point `tags` elsewhere as far as they are there, as far as that is
    /// known beforehand: so that nobody builds for an hour what is refused then. Each push asks anew.
    async fn may_push(
        &self,
        _actor: &Actor,
        _repo: &RepoName,
        _tags: &[Tag],
    ) -> Result<(), ImagesError> {
        Ok(())
    }

    /// The manifest that a reference names; `None` if there is none.
    async fn manifest(
        &self,
        actor: &Actor,
        repo: &RepoName,
        reference: &Reference,
    ) -> Result<Option<Manifest>, ImagesError>;

    /// Opens a blob's bytes; `None` if the repository does not hold it. Whoever reads them compares the digest. The reader
    /// blocks: read it on a thread that may.
    async fn blob(
        &self,
        actor: &Actor,
        repo: &RepoName,
        digest: &Digest,
    ) -> Result<Option<Box<dyn Read + Send>>, ImagesError>;

    /// Makes a blob of `from` one of `into` too, if the actor may read it there. False: `from` does not hold it. Where `into`
    /// has it nothing is changed, and no change recorded.
    async fn mount(
        &self,
        actor: &Actor,
        into: &RepoName,
        from: &RepoName,
        digest: &Digest,
    ) -> Result<bool, ImagesError>;

    /// Stores a file, from its beginning, as a blob. That its content has the digest is checked. Nobody writes to it any more: the
    /// file itself may become the blob's.
    async fn put_blob(
        &self,
        actor: &Actor,
        repo: &RepoName,
        digest: &Digest,
        content: File,
    ) -> Result<(), ImagesError>;

    /// Stores a manifest whose blobs are there, and points `tags` at it, in one step.
    async fn put_manifest(
        &self,
        actor: &Actor,
        repo: &RepoName,
        manifest: &Manifest,
        tags: &[Tag],
    ) -> Result<(), ImagesError>;
}

/// Why a registry did not do what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum ImagesError {
    /// The actor may not do it; the sentence says what and where.
    #[error("{0}")]
    Forbidden(String),
    /// It will not do it, however often it is asked.
    #[error("{0}")]
    Refused(String),
    /// It cannot do it now.
    #[error("{0}")]
    Unavailable(String),
}
