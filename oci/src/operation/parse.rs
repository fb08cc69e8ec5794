//! From method, path and query to an operation, in one pass over the words.

use std::borrow::Cow;

use http::Method;

use super::endpoint::Endpoint;
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
        let operation = operation(endpoint, method, query)?;
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

fn operation(
    endpoint: Endpoint<'_>,
    method: &Method,
    query: Query<'_>,
) -> Result<Operation, OperationError> {
    let allowed = endpoint.allowed();
    if !allowed
        .split(", ")
        .any(|allowed| allowed == method.as_str())
    {
        return Err(OperationError::MethodNotAllowed { allow: allowed });
    }
    Ok(match endpoint {
        Endpoint::Base => Operation::Base,
        Endpoint::Catalog => Operation::Catalog { page: page(query)? },
        Endpoint::Blob(repo, digest) => {
            let (repo, digest) = (RepoName::parse(repo)?, Digest::parse(&digest)?);
            match *method {
                Method::GET => Operation::GetBlob { repo, digest },
                Method::HEAD => Operation::HeadBlob { repo, digest },
                _ => Operation::DeleteBlob { repo, digest },
            }
        }
        Endpoint::Uploads(repo) => start_upload(RepoName::parse(repo)?, &query)?,
        Endpoint::Upload(repo, id) => upload(method, RepoName::parse(repo)?, id, &query)?,
        Endpoint::Manifest(repo, reference) => {
            manifest(method, RepoName::parse(repo)?, &reference, &query)?
        }
        Endpoint::Tags(repo) => Operation::ListTags {
            repo: RepoName::parse(repo)?,
            page: page(query)?,
        },
        Endpoint::Referrers(repo, digest) => Operation::Referrers {
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
