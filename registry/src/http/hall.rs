//! Where a request meets its deed: operation → permit → deed → reply.

use std::sync::Arc;

use auth::{Identity, Permit, Verb};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use oci::{Operation, RepoName};
use storage::ByteStream;
use storage::audit::Cause;

use super::admission::Admission;
use super::reply::{Reply, status};
use super::{Body, Connection, Limits, blobs, lists, manifests, uploads};
use crate::Registry;

/// What a caller must be allowed for an operation. Every operation has its line in
/// [`permission`]: one that is added does not compile without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Permission {
    /// Being known is enough.
    Known,
    /// The reply holds only what the caller may pull.
    Seen,
    /// Pull from the repository.
    Pull,
    /// Push to the repository. Moving a tag needs [`auth::Retag`] on top.
    Push,
    /// Delete in the repository.
    Delete,
}

pub(super) const fn permission(operation: &Operation) -> Permission {
    match operation {
        Operation::Base => Permission::Known,
        Operation::Catalog { .. } => Permission::Seen,
        Operation::GetBlob { .. }
        | Operation::HeadBlob { .. }
        | Operation::GetManifest { .. }
        | Operation::HeadManifest { .. }
        | Operation::ListTags { .. }
        | Operation::Referrers { .. } => Permission::Pull,
        Operation::StartUpload { .. }
        | Operation::UploadStatus { .. }
        | Operation::PatchUpload { .. }
        | Operation::FinishUpload { .. }
        | Operation::CancelUpload { .. }
        | Operation::PutManifest { .. } => Permission::Push,
        Operation::DeleteBlob { .. } | Operation::DeleteManifest { .. } => Permission::Delete,
    }
}

/// One request inside the hall, its caller known.
pub(super) struct Ask<'a> {
    pub(super) registry: &'a Registry,
    pub(super) admission: &'a Admission,
    pub(super) connection: &'a Connection,
    pub(super) headers: &'a HeaderMap,
    pub(super) who: &'a Identity,
    /// When, and on whose account what it changes.
    pub(super) cause: Cause,
}

impl Ask<'_> {
    pub(super) async fn permit<V: Verb>(&self, repo: &RepoName) -> Result<Permit<V>, crate::Error> {
        Ok(self.registry.gate().permit(self.who, repo).await?)
    }
}

/// Does what the operation says. The arms call the handlers: extract, permit, one deed, reply.
pub(super) async fn answer(ask: &Ask<'_>, operation: Operation, body: ByteStream) -> Reply {
    match operation {
        Operation::Base => Ok(base()),
        Operation::Catalog { page } => lists::catalog(ask, &page).await,
        Operation::ListTags { repo, page } => lists::tags(ask, &repo, &page).await,
        Operation::Referrers {
            repo,
            digest,
            artifact_type,
            page,
        } => lists::referrers(ask, &repo, &digest, artifact_type.as_deref(), &page).await,
        Operation::GetManifest { repo, reference }
        | Operation::HeadManifest { repo, reference } => {
            manifests::get(ask, &repo, &reference).await
        }
        Operation::PutManifest {
            repo,
            reference,
            tags,
        } => manifests::put(ask, &repo, &reference, tags, body).await,
        Operation::DeleteManifest { repo, reference } => {
            manifests::delete(ask, &repo, &reference).await
        }
        Operation::GetBlob { repo, digest } => blobs::get(ask, &repo, &digest).await,
        Operation::HeadBlob { repo, digest } => blobs::head(ask, &repo, &digest).await,
        Operation::DeleteBlob { repo, digest } => blobs::delete(ask, &repo, &digest).await,
        Operation::StartUpload {
            repo,
            digest,
            mount,
            from,
            digest_algorithm,
        } => {
            let wanted = uploads::Start {
                digest,
                mount,
                from,
                digest_algorithm,
            };
            uploads::start(ask, &repo, &wanted, body).await
        }
        Operation::UploadStatus { repo, id } => uploads::state(ask, &repo, &id).await,
        Operation::PatchUpload { repo, id } => uploads::patch(ask, &repo, &id, body).await,
        Operation::FinishUpload { repo, id, digest } => {
            uploads::finish(ask, &repo, &id, &digest, body).await
        }
        Operation::CancelUpload { repo, id } => uploads::cancel(ask, &repo, &id).await,
    }
}

/// `GET /v2/`: this is a registry. Older clients read the version header.
fn base() -> Response<Body> {
    let mut response = status(StatusCode::OK);
    response.headers_mut().insert(
        "docker-distribution-api-version",
        HeaderValue::from_static("registry/2.0"),
    );
    response
}

/// The registry that requests are answered from, with what bounds them.
#[derive(Debug)]
pub(super) struct Hall {
    pub(super) registry: Arc<Registry>,
    pub(super) admission: Admission,
    pub(super) limits: Limits,
}
