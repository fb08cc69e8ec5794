//! A registry of which every call is watched.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use async_trait::async_trait;
use builder::images::{Images, ImagesError, Layouts};
use builder::records::Actor;
use oci::{Digest, Manifest, Reference, RepoName, Tag};

/// What is asked of a registry.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call<'a> {
    MayPush(&'a Actor, &'a RepoName, &'a [Tag]),
    Manifest,
    Blob,
    Mount,
    PutBlob,
    PutManifest(&'a RepoName),
}

/// What happens before a call and after one that was answered. An error is the answer that the caller has.
#[async_trait]
pub(crate) trait Watch: fmt::Debug + Send + Sync + 'static {
    async fn before(&self, _call: Call<'_>) -> Result<(), ImagesError> {
        Ok(())
    }

    async fn after(&self, _call: Call<'_>) -> Result<(), ImagesError> {
        Ok(())
    }

    /// A blob, as whoever asked reads it.
    fn read(&self, blob: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
        blob
    }
}

/// A registry in layouts, and who watches it.
#[derive(Debug)]
pub(crate) struct Watched<W> {
    pub(crate) images: Layouts,
    pub(crate) watch: Arc<W>,
}

impl<W> Clone for Watched<W> {
    fn clone(&self) -> Self {
        Self {
            images: self.images.clone(),
            watch: Arc::clone(&self.watch),
        }
    }
}

macro_rules! watched {
    ($self:ident, $call:expr, $answer:expr) => {{
        $self.watch.before($call).await?;
        let answer = $answer.await?;
        $self.watch.after($call).await?;
        Ok(answer)
    }};
}

#[async_trait]
impl<W: Watch> Images for Watched<W> {
    fn for_run(&self, _run: &str) -> Arc<dyn Images> {
        Arc::new(self.clone())
    }

    async fn may_push(
        &self,
        actor: &Actor,
        repo: &RepoName,
        tags: &[Tag],
    ) -> Result<(), ImagesError> {
        let call = Call::MayPush(actor, repo, tags);
        watched!(self, call, self.images.may_push(actor, repo, tags))
    }

    async fn manifest(
        &self,
        actor: &Actor,
        repo: &RepoName,
        reference: &Reference,
    ) -> Result<Option<Manifest>, ImagesError> {
        let answer = self.images.manifest(actor, repo, reference);
        watched!(self, Call::Manifest, answer)
    }

    async fn blob(
        &self,
        actor: &Actor,
        repo: &RepoName,
        digest: &Digest,
    ) -> Result<Option<Box<dyn Read + Send>>, ImagesError> {
        let answer: Result<_, ImagesError> =
            watched!(self, Call::Blob, self.images.blob(actor, repo, digest));
        Ok(answer?.map(|blob| self.watch.read(blob)))
    }

    async fn mount(
        &self,
        actor: &Actor,
        into: &RepoName,
        from: &RepoName,
        digest: &Digest,
    ) -> Result<bool, ImagesError> {
        let answer = self.images.mount(actor, into, from, digest);
        watched!(self, Call::Mount, answer)
    }

    async fn put_blob(
        &self,
        actor: &Actor,
        repo: &RepoName,
        digest: &Digest,
        content: File,
    ) -> Result<(), ImagesError> {
        let answer = self.images.put_blob(actor, repo, digest, content);
        watched!(self, Call::PutBlob, answer)
    }

    async fn put_manifest(
        &self,
        actor: &Actor,
        repo: &RepoName,
        manifest: &Manifest,
        tags: &[Tag],
    ) -> Result<(), ImagesError> {
        let answer = self.images.put_manifest(actor, repo, manifest, tags);
        watched!(self, Call::PutManifest(repo), answer)
    }
}
