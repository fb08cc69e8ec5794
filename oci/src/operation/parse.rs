//! From method, path and query to an operation, in one pass over the words.

use std::borrow::Cow;

use http::Method;

use super::query::Query;
use super::{Operation, OperationError};
use crate::{Algorithm, Digest, InvalidReference, Page, Reference, RepoName, Tag, UploadId};

/// Most `tag` parameters of one manifest push; the specification asks for at least 10.
pub const MAX_TAG_PARAMETERS: usize = 100;

/// A request: what it asks for, and what else its query says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    pub(super) operation: Operation,
    ns: Option<String>,
}

impl Request {
    /// Reads a request's method, raw path and raw query (without the `?`).
    ///
    /// The path is read from the right, because a repository may be called `a/blobs/b`; and as it was sent:
    /// nothing is normalised, and what a normalising proxy would change (`//`, `..`, `%2f`, a trailing slash)
    /// is refused, so that no two readers see two repositories.
    pub fn parse(method: &Method, path: &str, query: Option<&str>) -> Result<Self, OperationError> {
        let endpoint = Endpoint::parse(path)?;
        let query = query.map_or(Ok(Query::default()), Query::parse)?;
        let ns = query.ns.as_deref().map(ns).transpose()?;
        let operation = endpoint.operation(method, query)?;
        Ok(Self { operation, ns })
    }

    /// What it asks for.
    pub fn operation(&self) -> &Operation {
        &self.operation
    }

    /// What it asks for, owned.
    pub fn into_operation(self) -> Operation {
        self.operation
    }

    /// `ns`: the registry the client believes to be behind this one, as a proxy is told. Printable ASCII without
    /// spaces, at most 255 bytes, so it can be echoed as `OCI-Namespace`.
    pub fn ns(&self) -> Option<&str> {
        self.ns.as_deref()
    }
}

/// A path, taken apart but for its last word.
enum Endpoint<'a> {
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
    fn parse(path: &'a str) -> Result<Self, OperationError> {
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

    fn operation(self, method: &Method, query: Query<'_>) -> Result<Operation, OperationError> {
        let allowed = self.allowed();
        if !allowed
            .split(", ")
            .any(|allowed| allowed == method.as_str())
        {
            return Err(OperationError::MethodNotAllowed { allow: allowed });
        }
        Ok(match self {
            Self::Base => Operation::Base,
            Self::Catalog => Operation::Catalog { page: page(query)? },
            Self::Blob(repo, digest) => {
                let (repo, digest) = (RepoName::parse(repo)?, Digest::parse(&digest)?);
                match *method {
                    Method::GET => Operation::GetBlob { repo, digest },
                    Method::HEAD => Operation::HeadBlob { repo, digest },
                    _ => Operation::DeleteBlob { repo, digest },
                }
            }
            Self::Uploads(repo) => start_upload(RepoName::parse(repo)?, &query)?,
            Self::Upload(repo, id) => upload(method, RepoName::parse(repo)?, id, &query)?,
            Self::Manifest(repo, reference) => {
                manifest(method, RepoName::parse(repo)?, &reference, &query)?
            }
            Self::Tags(repo) => Operation::ListTags {
                repo: RepoName::parse(repo)?,
                page: page(query)?,
            },
            Self::Referrers(repo, digest) => Operation::Referrers {
                repo: RepoName::parse(repo)?,
                digest: Digest::parse(&digest)?,
                artifact_type: query
                    .artifact_type
                    .as_deref()
                    .map(artifact_type)
                    .transpose()?,
                page: page(query)?,
            },
        })
    }

    /// The methods it answers, as the `Allow` header lists them.
    fn allowed(&self) -> &'static str {
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

fn start_upload(repo: RepoName, query: &Query<'_>) -> Result<Operation, OperationError> {
    let digest = |parameter, value: &Option<Cow<'_, str>>| {
        let digest = value.as_deref().map(Digest::parse).transpose();
        digest.map_err(|reason| OperationError::DigestParameter { parameter, reason })
    };
    let from = query.from.as_deref().map(RepoName::parse).transpose();
    let algorithm = query
        .digest_algorithm
        .as_deref()
        .map(str::parse::<Algorithm>)
        .transpose();
    Ok(Operation::StartUpload {
        repo,
        digest: digest("digest", &query.digest)?,
        mount: digest("mount", &query.mount)?,
        from: from.map_err(OperationError::From)?,
        digest_algorithm: algorithm.map_err(|reason| OperationError::DigestParameter {
            parameter: "digest-algorithm",
            reason,
        })?,
    })
}

fn upload(
    method: &Method,
    repo: RepoName,
    id: &str,
    query: &Query<'_>,
) -> Result<Operation, OperationError> {
    let id = UploadId::parse(id)?;
    Ok(match *method {
        Method::PATCH => Operation::PatchUpload { repo, id },
        Method::DELETE => Operation::CancelUpload { repo, id },
        Method::PUT => {
            let digest = query
                .digest
                .as_deref()
                .ok_or(OperationError::DigestMissing)?;
            let digest =
                Digest::parse(digest).map_err(|reason| OperationError::DigestParameter {
                    parameter: "digest",
                    reason,
                })?;
            Operation::FinishUpload { repo, id, digest }
        }
        _ => Operation::UploadStatus { repo, id },
    })
}

fn manifest(
    method: &Method,
    repo: RepoName,
    reference: &str,
    query: &Query<'_>,
) -> Result<Operation, OperationError> {
    let reference = Reference::parse(reference).map_err(|reason| match reason {
        InvalidReference::Digest(reason) => OperationError::Digest(reason),
        InvalidReference::Tag(reason) if method == Method::PUT => OperationError::Tag(reason),
        InvalidReference::Tag(reason) => OperationError::ManifestUnknown(reason),
    })?;
    Ok(match *method {
        Method::GET => Operation::GetManifest { repo, reference },
        Method::HEAD => Operation::HeadManifest { repo, reference },
        Method::DELETE => Operation::DeleteManifest { repo, reference },
        _ => {
            let mut tags = Vec::new();
            for tag in &query.tags {
                let tag = Tag::parse(tag)?;
                if !tags.contains(&tag) {
                    tags.push(tag);
                }
            }
            Operation::PutManifest {
                repo,
                reference,
                tags,
            }
        }
    })
}

fn page(query: Query<'_>) -> Result<Page, OperationError> {
    let n = query.n.as_deref().map(Page::parse_n).transpose()?;
    Ok(Page::new(n, query.last.map(Cow::into_owned))?)
}

/// A filter need not be a media type, as clients attach with any word; but it goes into a `Link` header.
fn artifact_type(value: &str) -> Result<String, OperationError> {
    is_printable(value)
        .then(|| value.to_owned())
        .ok_or(OperationError::Query("artifactType is no media type"))
}

fn ns(value: &str) -> Result<String, OperationError> {
    is_printable(value)
        .then(|| value.to_owned())
        .ok_or(OperationError::Query("ns is no registry's host name"))
}

fn is_printable(value: &str) -> bool {
    value.len() <= 255 && value.bytes().all(|b| b.is_ascii_graphic())
}
