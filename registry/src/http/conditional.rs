//! `If-None-Match` and `If-Range` of RFC 9110 §13. Content is named by its digest, so the digest
//! in quotes is a strong validator.

use http::HeaderMap;
use http::header::{IF_NONE_MATCH, IF_RANGE};
use oci::Digest;

/// The client has the content already: 304.
pub(super) fn is_not_modified(headers: &HeaderMap, digest: &Digest) -> bool {
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| tag.trim() == "*" || names(tag, digest))
}

/// A `Range` counts only while the content is what the client has the other part of.
pub(super) fn range_applies(headers: &HeaderMap, digest: &Digest) -> bool {
    headers
        .get(IF_RANGE)
        .is_none_or(|value| value.to_str().is_ok_and(|tag| names(tag, digest)))
}

/// `"<digest>"`, also in its weak form, which caches in between may make of it.
fn names(tag: &str, digest: &Digest) -> bool {
    let tag = tag.trim();
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    tag.strip_prefix('"')
        .and_then(|tag| tag.strip_suffix('"'))
        .is_some_and(|tag| tag.parse::<Digest>().as_ref() == Ok(digest))
}
