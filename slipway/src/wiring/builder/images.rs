//! The registry of this process, as builds see it: with the rights of whom a run acts for, and their name in the record.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use auth::{Gate, Identity, Permit, Pull, Push, Refusal, Retag};
use builder::images::{Images, ImagesError};
use builder::records::Actor;
use bytes::{Buf as _, Bytes};
use oci::{Digest, Manifest, Reference, RepoName, Tag};
use registry::{Error, Mounted, Registry};
use storage::audit::{Cause, Entry, Origin, Outcome, Place, Proof, Verb};
use storage::{Content, Durability, Object, StorageError, UploadError};

#[cfg(test)]
mod tests;

/// The registry, for the run of a build.
#[derive(Debug, Clone)]
pub(crate) struct RegistryImages {
    registry: Arc<Registry>,
    /// Namespaces of builder images.
    bases: Arc<[String]>,
    run: Arc<str>,
}

impl RegistryImages {
    /// This registry, for no run in particular. `bases`: the namespaces whose images runs stand on by a token that is for
    /// building elsewhere.
    pub(crate) fn new(registry: Arc<Registry>, bases: &[String]) -> Self {
        Self {
            registry,
            bases: bases.into(),
            run: Arc::from(""),
        }
    }

    fn gate(&self) -> &Gate {
        self.registry.gate()
    }

    /// Whom a run acts for, as they are now.
    async fn identity(&self, actor: &Actor, now: SystemTime) -> Result<Identity, ImagesError> {
        let found = self.gate().identity_of(&actor.proof, now).await;
        found.map_err(|refusal| match refusal {
            Refusal::BadCredential => ImagesError::Forbidden(format!(
                "{}, for whom this is done, has no rights any more: the user, the password or the API token is gone, or has \
                 ended. Whoever starts the run, or saves the build, anew gives it theirs",
                actor.name
            )),
            refusal => refused(refusal),
        })
    }

    /// The actor's permit for `V` in `repo`. A refusal is recorded as one of `verb`.
    async fn permit<V: auth::Verb>(
        &self,
        who: &Identity,
        repo: &RepoName,
        verb: Verb,
        at: SystemTime,
    ) -> Result<Permit<V>, ImagesError> {
        let asked = self.gate().permit(who, repo).await;
        self.told(asked, who, repo, verb, at).await
    }

    /// The actor's permit to read `repo`.
    async fn permit_pull(
        &self,
        who: &Identity,
        repo: &RepoName,
        at: SystemTime,
    ) -> Result<Permit<Pull>, ImagesError> {
        let asked = if self.bases.iter().any(|name| name == repo.namespace()) {
            self.gate().permit_base(who, repo).await
        } else {
            self.gate().permit(who, repo).await
        };
        self.told(asked, who, repo, Verb::Pull, at).await
    }

    /// The actor's permit to move tags. Whoever has none may still make new ones.
    async fn retag(
        &self,
        who: &Identity,
        repo: &RepoName,
    ) -> Result<Option<Permit<Retag>>, ImagesError> {
        match self.gate().permit::<Retag>(who, repo).await {
            Ok(permit) => Ok(Some(permit)),
            Err(Refusal::Anonymous | Refusal::Forbidden(_)) => Ok(None),
            Err(refusal) => Err(refused(refusal)),
        }
    }

    async fn told<V: auth::Verb>(
        &self,
        asked: Result<Permit<V>, Refusal>,
        who: &Identity,
        repo: &RepoName,
        verb: Verb,
        at: SystemTime,
    ) -> Result<Permit<V>, ImagesError> {
        match asked {
            Ok(permit) => Ok(permit),
            Err(refusal) => {
                let told = refused(refusal);
                if let ImagesError::Forbidden(reason) = &told {
                    self.note(who, repo, verb, reason, at).await;
                }
                Err(told)
            }
        }
    }

    async fn note(
        &self,
        who: &Identity,
        repo: &RepoName,
        verb: Verb,
        reason: &str,
        at: SystemTime,
    ) {
        let origin = Arc::new(self.origin(who, at));
        let place = Place::Repository(repo.clone());
        let entry = Entry::new(&origin, verb, place, Outcome::Denied, 0).because(Some(reason));
        let audit = &self.registry.storage().audit;
        if let Err(error) = audit.note(vec![entry], Durability::AtFlush).await {
            tracing::warn!(%error, "a refusal was not recorded");
        }
    }

    /// On whose account something is changed, and by which run.
    fn cause(&self, who: &Identity, at: SystemTime) -> Cause {
        Cause::of(self.origin(who, at), at)
    }

    fn origin(&self, who: &Identity, at: SystemTime) -> Origin {
        Origin {
            request_id: self.run.to_string(),
            user: who.name().to_owned(),
            provider: who.provider().to_owned(),
            uid: who.uid().map(str::to_owned),
            credential: Proof::Run,
            credential_id: who.token().map(ToString::to_string),
            ..Origin::own(at)
        }
    }
}

#[async_trait]
impl Images for RegistryImages {
    fn for_run(&self, run: &str) -> Arc<dyn Images> {
        Arc::new(Self {
            registry: Arc::clone(&self.registry),
            bases: Arc::clone(&self.bases),
            run: Arc::from(run),
        })
    }

    async fn may_push(
        &self,
        actor: &Actor,
        repo: &RepoName,
        tags: &[Tag],
    ) -> Result<(), ImagesError> {
        let now = SystemTime::now();
        let who = self.identity(actor, now).await?;
        self.permit::<Push>(&who, repo, Verb::Upload, now).await?;
        if tags.is_empty() || self.retag(&who, repo).await?.is_some() {
            return Ok(());
        }
        for tag in tags {
            let catalog = &self.registry.storage().catalog;
            let there = catalog.manifest(repo, &tag.clone().into()).await;
            if there.map_err(|error| failed(error.into()))?.is_some() {
                return Err(failed(Error::TagExists(tag.clone())));
            }
        }
        Ok(())
    }

    async fn manifest(
        &self,
        actor: &Actor,
        repo: &RepoName,
        reference: &Reference,
    ) -> Result<Option<Manifest>, ImagesError> {
        let now = SystemTime::now();
        let who = self.identity(actor, now).await?;
        let permit = self.permit_pull(&who, repo, now).await?;
        let stored = match self.registry.manifest(&permit, reference).await {
            Ok(stored) => stored,
            Err(error) => return absent(error),
        };
        let expected = stored.digest;
        let parsed = Manifest::parse(stored.bytes.clone(), Some(&stored.media_type), expected);
        parsed.map(Some).map_err(|error| {
            ImagesError::Refused(format!("{repo}: the manifest {expected}: {error}"))
        })
    }

    async fn blob(
        &self,
        actor: &Actor,
        repo: &RepoName,
        digest: &Digest,
    ) -> Result<Option<Box<dyn Read + Send>>, ImagesError> {
        let now = SystemTime::now();
        let who = self.identity(actor, now).await?;
        let permit = self.permit_pull(&who, repo, now).await?;
        match self.registry.blob(&permit, digest).await {
            Ok(object) => Ok(Some(reader(object))),
            Err(error) => absent(error),
        }
    }

    async fn mount(
        &self,
        actor: &Actor,
        into: &RepoName,
        from: &RepoName,
        digest: &Digest,
    ) -> Result<bool, ImagesError> {
        let now = SystemTime::now();
        let who = self.identity(actor, now).await?;
        let to = self.permit(&who, into, Verb::Mount, now).await?;
        let of = self.permit_pull(&who, from, now).await?;
        let cause = self.cause(&who, now);
        let mounted = self.registry.mount(&to, &of, digest, &cause).await;
        Ok(mounted.map_err(failed)? == Mounted::Done)
    }

    async fn put_blob(
        &self,
        actor: &Actor,
        repo: &RepoName,
        digest: &Digest,
        content: File,
    ) -> Result<(), ImagesError> {
        let now = SystemTime::now();
        let who = self.identity(actor, now).await?;
        let permit = self.permit::<Push>(&who, repo, Verb::Upload, now).await?;
        let cause = self.cause(&who, now);
        let put = self.registry.put_file(&permit, digest, content, &cause);
        put.await.map_err(failed)
    }

    async fn put_manifest(
        &self,
        actor: &Actor,
        repo: &RepoName,
        manifest: &Manifest,
        tags: &[Tag],
    ) -> Result<(), ImagesError> {
        let now = SystemTime::now();
        let who = self.identity(actor, now).await?;
        let permit = self.permit::<Push>(&who, repo, Verb::Push, now).await?;
        let retag = self.retag(&who, repo).await?;
        let cause = self.cause(&who, now);
        let put = self
            .registry
            .put_manifest(&permit, retag.as_ref(), manifest, tags, &cause);
        put.await.map_err(failed)
    }
}

/// An object's bytes from the beginning. The handle of a file is shared, so that it is read by position.
struct FileReader {
    file: Arc<File>,
    offset: u64,
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

fn reader(object: Object) -> Box<dyn Read + Send> {
    match object.content {
        Content::File(file) => Box::new(FileReader { file, offset: 0 }),
        Content::Bytes(bytes) => Box::new(Bytes::reader(bytes)),
    }
}

/// What is not there is no error.
fn absent<T>(error: Error) -> Result<Option<T>, ImagesError> {
    match error {
        Error::BlobUnknown(..) | Error::ManifestUnknown(..) | Error::NameUnknown(_) => Ok(None),
        error => Err(failed(error)),
    }
}

fn failed(error: Error) -> ImagesError {
    match error {
        Error::Refused(refusal) => refused(refusal),
        Error::TagExists(_) | Error::OtherMediaType(_) => ImagesError::Forbidden(error.to_string()),
        Error::Storage(StorageError::Corrupt { .. })
        | Error::BlobUnknown(..)
        | Error::BlobInUse(..)
        | Error::ManifestUnknown(..)
        | Error::NameUnknown(_)
        | Error::PositionUnknown
        | Error::ManifestInvalid(_)
        | Error::ManifestBlobsUnknown(_)
        | Error::Upload(
            UploadError::DigestMismatch { .. }
            | UploadError::SizeMismatch { .. }
            | UploadError::TooLarge { .. },
        ) => ImagesError::Refused(error.to_string()),
        Error::Storage(_) | Error::Upload(_) => {
            tracing::warn!(%error, "the registry did not do what a build asked of it");
            ImagesError::Unavailable(error.to_string())
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err hands it over")]
fn refused(refusal: Refusal) -> ImagesError {
    match refusal {
        Refusal::Anonymous => {
            ImagesError::Forbidden("strangers may not do this: log in first".to_owned())
        }
        Refusal::Throttled { .. } | Refusal::Unavailable { .. } => {
            ImagesError::Unavailable(refusal.to_string())
        }
        Refusal::BadCredential
        | Refusal::MistypedToken
        | Refusal::SpentToken(_)
        | Refusal::Forbidden(_)
        | Refusal::InsufficientScope(_)
        | Refusal::NoTokens => ImagesError::Forbidden(refusal.to_string()),
    }
}
