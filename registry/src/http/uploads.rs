//! `/v2/<name>/blobs/uploads/`.

use auth::Push;
use http::header::RANGE;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use oci::{Algorithm, Digest, ErrorCode, RepoName, UploadId};
use storage::ByteStream;

use super::Body;
use super::chunk::{content_length, content_range};
use super::hall::Ask;
use super::problem::Problem;
use super::reply::{DOCKER_CONTENT_DIGEST, DOCKER_UPLOAD_UUID, Reply, blob_path, put_location};
use super::reply::{received, status, upload_path, value};
use crate::{Mounted, Received};

static OCI_CHUNK_MIN_LENGTH: HeaderName = HeaderName::from_static("oci-chunk-min-length");

/// What a `POST` asks for in its query.
pub(super) struct Start {
    pub(super) digest: Option<Digest>,
    pub(super) mount: Option<Digest>,
    pub(super) from: Option<RepoName>,
    pub(super) digest_algorithm: Option<Algorithm>,
}

/// `POST`: by mount, in one request, or by a session, whichever the client asks for and can be
/// had in this order.
pub(super) async fn start(
    ask: &Ask<'_>,
    repo: &RepoName,
    wanted: &Start,
    body: ByteStream,
) -> Reply {
    let permit = ask.permit::<Push>(repo).await?;
    let _place = ask.admission.uploads.admit().await?;
    if let Some(digest) = &wanted.mount {
        let mounted = match &wanted.from {
            Some(from) => match ask.registry.may_pull(&permit, from).await? {
                Some(from) => {
                    let registry = ask.registry;
                    registry.mount(&permit, &from, digest, &ask.cause).await?
                }
                None => Mounted::NotFound,
            },
            None => {
                ask.registry
                    .mount_from_any(&permit, digest, &ask.cause)
                    .await?
            }
        };
        if mounted == Mounted::Done {
            return Ok(stored(repo, digest));
        }
    } else if let Some(digest) = &wanted.digest {
        let length = content_length(ask.headers);
        ask.registry
            .put_blob(&permit, digest, body, length, &ask.cause)
            .await?;
        return Ok(stored(repo, digest));
    }
    let id = ask
        .registry
        .start_upload(&permit, wanted.digest_algorithm, ask.cause.at())
        .await?;
    let mut response = session(StatusCode::ACCEPTED, repo, &id, 0);
    // Any chunk size will do; said aloud because clients otherwise guess for the worst store.
    response
        .headers_mut()
        .insert(&OCI_CHUNK_MIN_LENGTH, HeaderValue::from_static("1"));
    Ok(response)
}

pub(super) async fn state(ask: &Ask<'_>, repo: &RepoName, id: &UploadId) -> Reply {
    let permit = ask.permit::<Push>(repo).await?;
    let have = ask.registry.upload_status(&permit, id).await?;
    Ok(session(StatusCode::NO_CONTENT, repo, id, have))
}

pub(super) async fn patch(
    ask: &Ask<'_>,
    repo: &RepoName,
    id: &UploadId,
    body: ByteStream,
) -> Reply {
    let permit = ask.permit::<Push>(repo).await?;
    let _place = ask.admission.uploads.admit().await?;
    let chunk = chunk(ask, body)?;
    let have = ask
        .registry
        .append(&permit, id, chunk, ask.cause.at())
        .await?;
    Ok(session(StatusCode::ACCEPTED, repo, id, have))
}

pub(super) async fn finish(
    ask: &Ask<'_>,
    repo: &RepoName,
    id: &UploadId,
    digest: &Digest,
    body: ByteStream,
) -> Reply {
    let permit = ask.permit::<Push>(repo).await?;
    let _place = ask.admission.uploads.admit().await?;
    let tail = match content_length(ask.headers) {
        Some(0) => None,
        _ => Some(chunk(ask, body)?),
    };
    ask.registry
        .finish_upload(&permit, id, digest, tail, &ask.cause)
        .await?;
    Ok(stored(repo, digest))
}

pub(super) async fn cancel(ask: &Ask<'_>, repo: &RepoName, id: &UploadId) -> Reply {
    let permit = ask.permit::<Push>(repo).await?;
    ask.registry.cancel_upload(&permit, id).await?;
    Ok(status(StatusCode::NO_CONTENT))
}

fn chunk(ask: &Ask<'_>, body: ByteStream) -> Result<Received, Problem> {
    let range = content_range(ask.headers).map_err(|message| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            ErrorCode::BlobUploadInvalid,
            message,
        )
    })?;
    Ok(Received { range, body })
}

/// Where the session stands.
fn session(code: StatusCode, repo: &RepoName, id: &UploadId, have: u64) -> Response<Body> {
    let mut response = status(code);
    let headers = response.headers_mut();
    put_location(headers, &upload_path(repo, id));
    headers.insert(RANGE, received(have));
    headers.insert(&DOCKER_UPLOAD_UUID, value(&id.to_string()));
    response
}

/// The blob is there.
fn stored(repo: &RepoName, digest: &Digest) -> Response<Body> {
    let mut response = status(StatusCode::CREATED);
    let headers = response.headers_mut();
    put_location(headers, &blob_path(repo, digest));
    headers.insert(&DOCKER_CONTENT_DIGEST, value(&digest.to_string()));
    response
}
