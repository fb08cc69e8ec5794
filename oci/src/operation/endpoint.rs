//! Paths, read from the right.

use std::borrow::Cow;

use super::OperationError;

/// A path, taken apart but for its last word.
pub(super) enum Endpoint<'a> {
    Base,
    Catalog,
    Blob(&'a str, Cow<'a, str>),
    Uploads(&'a str),
    Upload(&'a str, &'a str),
    Manifest(&'a str, Cow<'a, str>),
    Tags(&'a str),
    Referrers(&'a str, Cow<'a, str>),
}

impl<'a> Endpoint<'a> {
    pub(super) fn parse(path: &'a str) -> Result<Self, OperationError> {
        let Some(rest) = path.strip_prefix("/v2/") else {
            return if path == "/v2" {
                Ok(Self::Base)
            } else {
                Err(OperationError::NotFound)
            };
        };
        match rest {
            "" => return Ok(Self::Base),
            "_catalog" => return Ok(Self::Catalog),
            _ => check(rest)?,
        }
        if let Some(repo) = rest.strip_suffix("/blobs/uploads/") {
            return Ok(Self::Uploads(repo));
        }
        if rest == "blobs/uploads/" {
            return Ok(Self::Uploads(""));
        }
        if rest.ends_with('/') {
            return Err(OperationError::Path("it ends in '/'"));
        }
        let (rest, last) = rest.rsplit_once('/').unwrap_or(("", rest));
        let (repo, keyword) = rest.rsplit_once('/').unwrap_or(("", rest));
        match (keyword, last) {
            ("uploads", _) if repo == "blobs" => Ok(Self::Upload("", last)),
            ("uploads", _) => match repo.strip_suffix("/blobs") {
                Some(repo) => Ok(Self::Upload(repo, last)),
                None => Err(OperationError::NotFound),
            },
            ("blobs", "uploads") => Ok(Self::Uploads(repo)),
            ("blobs", _) => Ok(Self::Blob(repo, colon(last)?)),
            ("manifests", _) => Ok(Self::Manifest(repo, colon(last)?)),
            ("referrers", _) => Ok(Self::Referrers(repo, colon(last)?)),
            ("tags", "list") => Ok(Self::Tags(repo)),
            _ => Err(OperationError::NotFound),
        }
    }

    /// The methods it answers, as the `Allow` header lists them.
    pub(super) fn allowed(&self) -> &'static str {
        match self {
            Self::Base | Self::Catalog | Self::Tags(_) | Self::Referrers(..) => "GET, HEAD",
            Self::Blob(..) => "GET, HEAD, DELETE",
            Self::Uploads(_) => "POST",
            Self::Upload(..) => "GET, HEAD, PATCH, PUT, DELETE",
            Self::Manifest(..) => "GET, HEAD, PUT, DELETE",
        }
    }
}

/// What no path may hold, whatever it means. `%3A` is let through for [`colon`].
fn check(path: &str) -> Result<(), OperationError> {
    let bytes = path.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'/' if at == 0 || bytes[at - 1] == b'/' => {
                return Err(OperationError::Path("a segment is empty"));
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b':' | b'/' => {}
            b'%' if bytes[at..].len() >= 3 && bytes[at..at + 3].eq_ignore_ascii_case(b"%3a") => {}
            b'%' => {
                return Err(OperationError::Path("only ':' may be percent-encoded"));
            }
            _ => return Err(OperationError::Path("a character is not allowed")),
        }
    }
    if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(OperationError::Path("a segment is '.' or '..'"));
    }
    Ok(())
}

/// Decodes the one escape that clients send: `%3A` in a digest.
fn colon(segment: &str) -> Result<Cow<'_, str>, OperationError> {
    let Some(at) = segment.find('%') else {
        return Ok(Cow::Borrowed(segment));
    };
    // `check` has seen that every '%' begins a "%3A".
    let (before, after) = (&segment[..at], &segment[at + 3..]);
    if before.contains(':') || after.contains([':', '%']) {
        return Err(OperationError::Path("there is more than one ':'"));
    }
    Ok(Cow::Owned(format!("{before}:{after}")))
}
