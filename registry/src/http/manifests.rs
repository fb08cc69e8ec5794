//! `/v2/<name>/manifests/<reference>`.

use auth::{Delete, Pull, Push, Refusal, Retag};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, Response, StatusCode};
use oci::{Algorithm, ErrorCode, MAX_MANIFEST_BYTES, Manifest, MediaType, Reference};
use oci::{RepoName, Tag};
use storage::ByteStream;

use super::admission::{Budget, Share};
use super::hall::Ask;
use super::incoming::{Unread, whole};
use super::problem::Problem;
use super::reply::{DOCKER_CONTENT_DIGEST, Reply, manifest_path, put_digest};
use super::reply::{put_location, status, value};
use super::{Body, conditional};

/// Manifests of more bytes are parsed away from the threads that serve everybody else.
const LONG: usize = 256 << 10;

static OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
static OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");

/// `GET` and `HEAD`: the body of the latter is dropped on the way out.
pub(super) async fn get(ask: &Ask<'_>, repo: &RepoName, reference: &Reference) -> Reply {
    let permit = ask.permit::<Pull>(repo).await?;
    let manifest = if let Some(manifest) = ask.registry.cached_manifest(&permit, reference) {
        manifest
    } else {
        let _place = ask.admission.manifests.admit().await?;
        ask.registry.manifest(&permit, reference).await?
    };
    let mut response = if conditional::is_not_modified(ask.headers, &manifest.digest) {
        status(StatusCode::NOT_MODIFIED)
    } else {
        let mut response = Response::new(Body::full(manifest.bytes.clone()));
        let media_type = value(manifest.media_type.as_str());
        response.headers_mut().insert(CONTENT_TYPE, media_type);
        response
    };
    put_digest(response.headers_mut(), &manifest.digest);
    Ok(response)
}

pub(super) async fn put(
    ask: &Ask<'_>,
    repo: &RepoName,
    reference: &Reference,
    mut tags: Vec<Tag>,
    body: ByteStream,
) -> Reply {
    let permit = ask.permit::<Push>(repo).await?;
    let _place = ask.admission.manifests.admit().await?;
    let (bytes, _share) = read(body, &ask.admission.bodies).await?;
    let manifest = parse(ask, reference, bytes).await?;
    if let Reference::Tag(tag) = reference {
        tags.insert(0, tag.clone());
    }
    let retag = match ask.permit::<Retag>(repo).await {
        Ok(permit) => Some(permit),
        Err(crate::Error::Refused(
            Refusal::Anonymous | Refusal::Forbidden(_) | Refusal::InsufficientScope(_),
        )) => None,
        Err(error) => return Err(error.into()),
    };
    ask.registry
        .put_manifest(&permit, retag.as_ref(), &manifest, &tags, &ask.cause)
        .await?;
    Ok(created(repo, reference, &manifest, &tags))
}

async fn read(body: ByteStream, budget: &Budget) -> Result<(Bytes, Share), Problem> {
    whole(body, MAX_MANIFEST_BYTES, budget)
        .await
        .map_err(|unread| match unread {
            Unread::TooLarge => Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                ErrorCode::ManifestInvalid,
                format!("a manifest may have at most {MAX_MANIFEST_BYTES} bytes"),
            ),
            Unread::Broken(error) => Problem::new(
                StatusCode::BAD_REQUEST,
                ErrorCode::ManifestInvalid,
                format!("the manifest did not arrive whole: {error}"),
            ),
            Unread::Busy(problem) => problem,
        })
}

async fn parse(ask: &Ask<'_>, reference: &Reference, bytes: Bytes) -> Result<Manifest, Problem> {
    let media_type = match ask.headers.get(CONTENT_TYPE) {
        None => None,
        Some(header) => {
            let parsed = header.to_str().ok().map(MediaType::from_content_type);
            let Some(Ok(media_type)) = parsed else {
                let message = format!("Content-Type {header:?} is not a media type");
                return Err(Problem::new(
                    StatusCode::BAD_REQUEST,
                    ErrorCode::ManifestInvalid,
                    message,
                ));
            };
            Some(media_type)
        }
    };
    let is_long = bytes.len() > LONG;
    let digest = match reference {
        Reference::Digest(digest) => Some(*digest),
        Reference::Tag(_) => None,
    };
    let read = move || match digest {
        Some(digest) => Manifest::parse(bytes, media_type.as_ref(), digest),
        None => Manifest::parse(bytes, media_type.as_ref(), Algorithm::Sha256),
    };
    let parsed = if is_long {
        tokio::task::spawn_blocking(read).await.map_err(|error| {
            let message = "the manifest could not be read";
            Problem::hidden(
                StatusCode::INTERNAL_SERVER_ERROR,
                ErrorCode::Unknown,
                message,
                error.to_string(),
            )
        })?
    } else {
        read()
    };
    parsed.map_err(|error| crate::Error::from(error).into())
}

fn created(
    repo: &RepoName,
    reference: &Reference,
    manifest: &Manifest,
    tags: &[Tag],
) -> Response<Body> {
    let mut response = status(StatusCode::CREATED);
    let headers = response.headers_mut();
    put_location(headers, &manifest_path(repo, &manifest.digest()));
    headers.insert(
        &DOCKER_CONTENT_DIGEST,
        value(&manifest.digest().to_string()),
    );
    if let Some(subject) = manifest.subject() {
        headers.insert(&OCI_SUBJECT, value(&subject.digest.to_string()));
    }
    // The tag in the path needs no confirmation; those in the query do.
    let asked = match reference {
        Reference::Tag(_) => &tags[1..],
        Reference::Digest(_) => tags,
    };
    for tag in asked {
        headers.append(&OCI_TAG, value(tag.as_str()));
    }
    response
}

pub(super) async fn delete(ask: &Ask<'_>, repo: &RepoName, reference: &Reference) -> Reply {
    let permit = ask.permit::<Delete>(repo).await?;
    let _place = ask.admission.manifests.admit().await?;
    ask.registry
        .delete_manifest(&permit, reference, &ask.cause)
        .await?;
    Ok(status(StatusCode::ACCEPTED))
}
