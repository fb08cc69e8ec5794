//! `/v2/<name>/blobs/<digest>`.

use std::ops::Range;

use auth::{Delete, Pull};
use http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use oci::{Digest, RepoName};
use storage::{Content, Object};

use super::admission::Admitted;
use super::hall::Ask;
use super::problem::Problem;
use super::range::Wanted;
use super::reply::{Reply, put_digest, put_length, status, value};
use super::{Body, conditional};

pub(super) async fn get(ask: &Ask<'_>, repo: &RepoName, digest: &Digest) -> Reply {
    let permit = ask.permit::<Pull>(repo).await?;
    let place = ask.admission.blobs.admit().await?;
    let object = ask.registry.blob(&permit, digest).await?;
    if conditional::is_not_modified(ask.headers, digest) {
        return Ok(not_modified(digest));
    }
    let size = object.size;
    let wanted = if conditional::range_applies(ask.headers, digest) {
        let header = ask.headers.get(RANGE).map(HeaderValue::as_bytes);
        Wanted::parse(header, size)
    } else {
        Wanted::Whole
    };
    let (code, range) = match wanted {
        Wanted::Whole => (StatusCode::OK, 0..size),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::Unsatisfiable => return Err(Problem::unsatisfiable(size)),
    };
    let length = range.end - range.start;
    let content_range = format!("bytes {}-{}/{size}", range.start, range.end.wrapping_sub(1));
    let mut response = Response::new(content(ask, object, range, place));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    put_blob_headers(headers, digest);
    put_length(headers, length);
    if code == StatusCode::PARTIAL_CONTENT {
        headers.insert(CONTENT_RANGE, value(&content_range));
    }
    Ok(response)
}

pub(super) async fn head(ask: &Ask<'_>, repo: &RepoName, digest: &Digest) -> Reply {
    let permit = ask.permit::<Pull>(repo).await?;
    let _place = ask.admission.manifests.admit().await?;
    let size = ask.registry.blob_size(&permit, digest).await?;
    if conditional::is_not_modified(ask.headers, digest) {
        return Ok(not_modified(digest));
    }
    let mut response = status(StatusCode::OK);
    let headers = response.headers_mut();
    put_blob_headers(headers, digest);
    put_length(headers, size);
    Ok(response)
}

pub(super) async fn delete(ask: &Ask<'_>, repo: &RepoName, digest: &Digest) -> Reply {
    let permit = ask.permit::<Delete>(repo).await?;
    let _place = ask.admission.manifests.admit().await?;
    ask.registry
        .delete_blob(&permit, digest, &ask.cause)
        .await?;
    Ok(status(StatusCode::ACCEPTED))
}

/// The bytes, by the connection's way out.
fn content(ask: &Ask<'_>, object: Object, range: Range<u64>, place: Admitted) -> Body {
    match object.content {
        Content::File(file) => Body::file(ask.connection.outlet.file(file, range), place),
        // Held in memory, so the range is inside what `usize` counts.
        Content::Bytes(bytes) => {
            let at = |position: u64| usize::try_from(position).unwrap_or(usize::MAX);
            Body::full(bytes.slice(at(range.start)..at(range.end)))
        }
    }
}

fn put_blob_headers(headers: &mut HeaderMap, digest: &Digest) {
    put_digest(headers, digest);
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // Named by its digest, the content can never change.
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("max-age=31536000, immutable"),
    );
}

fn not_modified(digest: &Digest) -> Response<Body> {
    let mut response = status(StatusCode::NOT_MODIFIED);
    put_digest(response.headers_mut(), digest);
    response
}
