//! Headers that several replies share.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body::Body as _;
use oci::{Digest, RepoName, UploadId};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::Body;
use super::problem::Problem;

pub(super) static DOCKER_CONTENT_DIGEST: HeaderName =
    HeaderName::from_static("docker-content-digest");
pub(super) static DOCKER_UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");

pub(super) type Reply = Result<Response<Body>, Problem>;

/// An empty reply.
pub(super) fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A JSON reply.
pub(super) fn json(value: &impl Serialize) -> Reply {
    let body = serde_json::to_vec(value).map_err(|error| Problem::internal(&error))?;
    let mut response = Response::new(Body::full(body));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// The reply to HEAD: what GET would say, its length included, without the body.
pub(super) fn headless(mut response: Response<Body>) -> Response<Body> {
    let length = response.body().size_hint().exact();
    if let Some(length) = length
        && !response.headers().contains_key(CONTENT_LENGTH)
        && response.status() != StatusCode::NOT_MODIFIED
    {
        put_length(response.headers_mut(), length);
    }
    *response.body_mut() = Body::empty();
    response
}

/// Names the content by its digest, for the client and for its cache.
pub(super) fn put_digest(headers: &mut HeaderMap, digest: &Digest) {
    let quoted = format!("\"{digest}\"");
    let plain = value(&quoted[1..quoted.len() - 1]);
    headers.insert(ETAG, value(&quoted));
    headers.insert(&DOCKER_CONTENT_DIGEST, plain);
}

/// The length of a body that is not sent along (HEAD).
pub(super) fn put_length(headers: &mut HeaderMap, length: u64) {
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
}

/// `Location` without scheme and host: the client resolves it against what it asked, so no
/// proxy in between can make it point elsewhere.
pub(super) fn put_location(headers: &mut HeaderMap, path: &str) {
    headers.insert(LOCATION, value(path));
}

/// `Range: 0-<last byte received>`. Before the first byte this is `0-0`, as registries have
/// always answered and clients expect.
pub(super) fn received(bytes: u64) -> HeaderValue {
    value(&format!("0-{}", bytes.saturating_sub(1)))
}

pub(super) fn upload_path(repo: &RepoName, id: &UploadId) -> String {
    format!("/v2/{repo}/blobs/uploads/{id}")
}

pub(super) fn blob_path(repo: &RepoName, digest: &Digest) -> String {
    format!("/v2/{repo}/blobs/{digest}")
}

pub(super) fn manifest_path(repo: &RepoName, reference: &impl std::fmt::Display) -> String {
    format!("/v2/{repo}/manifests/{reference}")
}

/// A header value of parsed words: names, tags, digests and numbers are visible ASCII.
pub(super) fn value(text: &str) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::copy_from_slice(text.as_bytes()))
        .unwrap_or(HeaderValue::from_static(""))
}

/// A value inside a query.
pub(super) fn query_value(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
