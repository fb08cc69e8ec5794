//! The query of a request, decoded strictly.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::{MAX_TAG_PARAMETERS, OperationError};

/// The parameters that mean something here; all others are ignored, as clients and proxies add their own.
#[derive(Default)]
pub(super) struct Query<'a> {
    pub(super) digest: Option<Cow<'a, str>>,
    pub(super) mount: Option<Cow<'a, str>>,
    pub(super) from: Option<Cow<'a, str>>,
    pub(super) digest_algorithm: Option<Cow<'a, str>>,
    pub(super) n: Option<Cow<'a, str>>,
    pub(super) last: Option<Cow<'a, str>>,
    pub(super) artifact_type: Option<Cow<'a, str>>,
    pub(super) ns: Option<Cow<'a, str>>,
    pub(super) tags: Vec<Cow<'a, str>>,
}

impl<'a> Query<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, OperationError> {
        let mut query = Self::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            let (slot, parameter) = match &*name {
                "digest" => (&mut query.digest, "digest"),
                "mount" => (&mut query.mount, "mount"),
                "from" => (&mut query.from, "from"),
                "digest-algorithm" => (&mut query.digest_algorithm, "digest-algorithm"),
                "n" => (&mut query.n, "n"),
                "last" => (&mut query.last, "last"),
                "artifactType" => (&mut query.artifact_type, "artifactType"),
                "ns" => (&mut query.ns, "ns"),
                "tag" if query.tags.len() == MAX_TAG_PARAMETERS => {
                    return Err(OperationError::TooManyTags);
                }
                "tag" => {
                    query.tags.push(value);
                    continue;
                }
                _ => continue,
            };
            // Two readers may take the first or the last of two.
            if slot.replace(value).is_some() {
                return Err(OperationError::Duplicate { parameter });
            }
        }
        Ok(query)
    }
}

/// Percent-decoding by RFC 3986. `+` stays `+`: no value here can hold a space, and clients write media types
/// such as `application/spdx+json` unencoded.
fn decode(text: &str) -> Result<Cow<'_, str>, OperationError> {
    let mut parts = text.split('%');
    parts.next();
    let is_escape =
        |part: &str| part.len() >= 2 && part.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit);
    if !parts.all(is_escape) {
        return Err(OperationError::Query(
            "'%' is not followed by two hex digits",
        ));
    }
    percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| OperationError::Query("it is not UTF-8 when decoded"))
}

/// The inverse of [`decode`]: everything but unreserved characters and what is common in digests and names.
pub(super) fn encode(text: &str) -> impl std::fmt::Display {
    const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~')
        .remove(b'/')
        .remove(b':');
    utf8_percent_encode(text, ENCODED)
}
