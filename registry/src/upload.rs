//! Upload sessions: how a blob comes in, and how it comes in without being sent again.

use std::fs::File;
use std::time::SystemTime;

use auth::{Permit, Pull, Push};
use oci::{Algorithm, Digest, RepoName, UploadId};
use storage::audit::Cause;
use storage::{ByteStream, ChunkRange};

use crate::{Error, Registry};

/// Repositories that an anonymous mount looks at before it gives up.
const MOUNT_CANDIDATES: usize = 64;

/// What became of a request to mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mounted {
    /// The blob is in the repository now.
    Done,
    /// No repository that the caller may pull from holds it.
    NotFound,
}

/// A chunk of a blob on its way in: the range that the client claims, and the bytes.
pub struct Received {
    /// `Content-Range`, if the client sent one.
    pub range: Option<ChunkRange>,
    /// The bytes, at most as many as `range` says.
    pub body: ByteStream,
}

impl Registry {
    /// Opens a session. It belongs to the caller and to this repository, and to nobody else.
    pub async fn start_upload(
        &self,
        permit: &Permit<Push>,
        algorithm: Option<Algorithm>,
        now: SystemTime,
    ) -> Result<UploadId, Error> {
        let owner = permit.who().principal();
        let id = self
            .storage
            .uploads
            .start(permit.repo(), owner, algorithm, now)
            .await?;
        Ok(id)
    }

    /// Bytes received so far.
    pub async fn upload_status(&self, permit: &Permit<Push>, id: &UploadId) -> Result<u64, Error> {
        let owner = permit.who().principal();
        Ok(self
            .storage
            .uploads
            .status(permit.repo(), owner, id)
            .await?)
    }

    /// Adds a chunk; returns the bytes received so far.
    pub async fn append(
        &self,
        permit: &Permit<Push>,
        id: &UploadId,
        chunk: Received,
        now: SystemTime,
    ) -> Result<u64, Error> {
        let owner = permit.who().principal();
        let uploads = &self.storage.uploads;
        Ok(uploads
            .append(permit.repo(), owner, id, chunk.range, chunk.body, now)
            .await?)
    }

    /// Closes the session: the bytes become the blob `digest` of this repository.
    pub async fn finish_upload(
        &self,
        permit: &Permit<Push>,
        id: &UploadId,
        digest: &Digest,
        tail: Option<Received>,
        cause: &Cause,
    ) -> Result<(), Error> {
        let owner = permit.who().principal();
        let tail = tail.map(|chunk| (chunk.range, chunk.body));
        self.storage
            .uploads
            .finish(permit.repo(), owner, id, digest, tail, cause.clone())
            .await?;
        Ok(())
    }

    /// A blob in one request.
    pub async fn put_blob(
        &self,
        permit: &Permit<Push>,
        digest: &Digest,
        body: ByteStream,
        length: Option<u64>,
        cause: &Cause,
    ) -> Result<(), Error> {
        self.storage
            .uploads
            .whole(permit.repo(), digest, body, length, cause.clone())
            .await?;
        Ok(())
    }

    /// A blob that is in a file of this process, which nobody writes to any more; it is not copied where that can be.
    pub async fn put_file(
        &self,
        permit: &Permit<Push>,
        digest: &Digest,
        file: File,
        cause: &Cause,
    ) -> Result<(), Error> {
        let uploads = &self.storage.uploads;
        let put = uploads.file(permit.repo(), digest, file, cause.clone());
        put.await?;
        Ok(())
    }

    /// Drops the session and its bytes.
    pub async fn cancel_upload(&self, permit: &Permit<Push>, id: &UploadId) -> Result<(), Error> {
        let owner = permit.who().principal();
        self.storage
            .uploads
            .cancel(permit.repo(), owner, id)
            .await?;
        Ok(())
    }

    /// Makes a blob of `from` a blob of this repository too. Both permits are in the signature
    /// because both are the rule.
    pub async fn mount(
        &self,
        into: &Permit<Push>,
        from: &Permit<Pull>,
        digest: &Digest,
        cause: &Cause,
    ) -> Result<Mounted, Error> {
        let blobs = &self.storage.blobs;
        let done = blobs
            .mount(into.repo(), from.repo(), digest, cause.clone())
            .await?;
        Ok(if done {
            Mounted::Done
        } else {
            Mounted::NotFound
        })
    }

    /// As [`Registry::mount`], from whichever repository the caller may pull the blob.
    pub async fn mount_from_any(
        &self,
        into: &Permit<Push>,
        digest: &Digest,
        cause: &Cause,
    ) -> Result<Mounted, Error> {
        let holders = self
            .storage
            .blobs
            .holders(digest, None, MOUNT_CANDIDATES)
            .await?;
        for repo in holders {
            if let Some(from) = self.may_pull(into, &repo).await?
                && self.mount(into, &from, digest, cause).await? == Mounted::Done
            {
                return Ok(Mounted::Done);
            }
        }
        Ok(Mounted::NotFound)
    }

    /// The caller's right to pull from `repo`, or `None`: a mount from a forbidden repository must
    /// look like a mount from one that is not there.
    pub(crate) async fn may_pull(
        &self,
        permit: &Permit<Push>,
        repo: &RepoName,
    ) -> Result<Option<Permit<Pull>>, Error> {
        use auth::Refusal;
        match self.gate.permit::<Pull>(permit.who(), repo).await {
            Ok(permit) => Ok(Some(permit)),
            Err(Refusal::Anonymous | Refusal::Forbidden(_) | Refusal::InsufficientScope(_)) => {
                Ok(None)
            }
            Err(refusal) => Err(refusal.into()),
        }
    }
}
