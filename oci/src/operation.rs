//! Every endpoint, one enum: what is routed on, authorized, counted and served.

mod endpoint;
mod error;
mod examples;
mod parse;
mod query;
mod request_line;

#[cfg(test)]
mod tests;

use http::Method;

use crate::{Algorithm, Digest, Page, Reference, RepoName, Tag, UploadId};

pub use error::OperationError;
pub use parse::{MAX_TAG_PARAMETERS, Request};

/// What a request asks for, read once from its method, path and query: the endpoints of distribution-spec
/// 1.1.1 and of its development text, named `end-1` … as there, and Distribution's catalog.
///
/// HEAD is GET without a body; only where the difference matters to the deed is it a variant of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// end-1: `GET /v2/`. Is this a registry, and am I known?
    Base,
    /// end-2: `GET /v2/<repo>/blobs/<digest>`.
    GetBlob {
        /// Where.
        repo: RepoName,
        /// Which blob.
        digest: Digest,
    },
    /// end-2: `HEAD /v2/<repo>/blobs/<digest>`.
    HeadBlob {
        /// Where.
        repo: RepoName,
        /// Which blob.
        digest: Digest,
    },
    /// end-10: `DELETE /v2/<repo>/blobs/<digest>`.
    DeleteBlob {
        /// Where.
        repo: RepoName,
        /// Which blob.
        digest: Digest,
    },
    /// end-4a, end-4b, end-4c, end-11: `POST /v2/<repo>/blobs/uploads/`.
    StartUpload {
        /// Where.
        repo: RepoName,
        /// `digest`: the body is the whole blob.
        digest: Option<Digest>,
        /// `mount`: take this blob from another repository instead of an upload.
        mount: Option<Digest>,
        /// `from`: the repository to mount from; without it, any that the caller may pull from.
        from: Option<RepoName>,
        /// `digest-algorithm`: what the digest at the end will be made with.
        digest_algorithm: Option<Algorithm>,
    },
    /// end-13: `GET /v2/<repo>/blobs/uploads/<id>`.
    UploadStatus {
        /// Where.
        repo: RepoName,
        /// Which upload.
        id: UploadId,
    },
    /// end-5: `PATCH /v2/<repo>/blobs/uploads/<id>`.
    PatchUpload {
        /// Where.
        repo: RepoName,
        /// Which upload.
        id: UploadId,
    },
    /// end-6: `PUT /v2/<repo>/blobs/uploads/<id>?digest=<digest>`.
    FinishUpload {
        /// Where.
        repo: RepoName,
        /// Which upload.
        id: UploadId,
        /// What the whole must be.
        digest: Digest,
    },
    /// end-14: `DELETE /v2/<repo>/blobs/uploads/<id>`.
    CancelUpload {
        /// Where.
        repo: RepoName,
        /// Which upload.
        id: UploadId,
    },
    /// end-3: `GET /v2/<repo>/manifests/<reference>`.
    GetManifest {
        /// Where.
        repo: RepoName,
        /// Which manifest.
        reference: Reference,
    },
    /// end-3: `HEAD /v2/<repo>/manifests/<reference>`.
    HeadManifest {
        /// Where.
        repo: RepoName,
        /// Which manifest.
        reference: Reference,
    },
    /// end-7a, end-7b: `PUT /v2/<repo>/manifests/<reference>?tag=…&tag=…`.
    PutManifest {
        /// Where.
        repo: RepoName,
        /// As what.
        reference: Reference,
        /// `tag`, each once, in the order given: tags to set besides.
        tags: Vec<Tag>,
    },
    /// end-9: `DELETE /v2/<repo>/manifests/<reference>`. By tag, only the tag goes.
    DeleteManifest {
        /// Where.
        repo: RepoName,
        /// What to delete.
        reference: Reference,
    },
    /// end-8a, end-8b: `GET /v2/<repo>/tags/list`.
    ListTags {
        /// Where.
        repo: RepoName,
        /// Which part of the list.
        page: Page,
    },
    /// end-12a, end-12b: `GET /v2/<repo>/referrers/<digest>`.
    Referrers {
        /// Where.
        repo: RepoName,
        /// The subject.
        digest: Digest,
        /// `artifactType`: only those of this type.
        artifact_type: Option<String>,
        /// Which part of the list; the parameters are ours, clients find them in `Link`.
        page: Page,
    },
    /// `GET /v2/_catalog` (Distribution's HTTP API V2).
    Catalog {
        /// Which part of the list.
        page: Page,
    },
}

impl Operation {
    /// Reads a request's method, raw path and raw query; the host and `?ns=` are left to [`Request`].
    pub fn parse(method: &Method, path: &str, query: Option<&str>) -> Result<Self, OperationError> {
        Request::parse(method, path, query).map(|request| request.operation)
    }

    /// The repository it works in, if it works in one.
    pub fn repo(&self) -> Option<&RepoName> {
        match self {
            Self::Base | Self::Catalog { .. } => None,
            Self::GetBlob { repo, .. }
            | Self::HeadBlob { repo, .. }
            | Self::DeleteBlob { repo, .. }
            | Self::StartUpload { repo, .. }
            | Self::UploadStatus { repo, .. }
            | Self::PatchUpload { repo, .. }
            | Self::FinishUpload { repo, .. }
            | Self::CancelUpload { repo, .. }
            | Self::GetManifest { repo, .. }
            | Self::HeadManifest { repo, .. }
            | Self::PutManifest { repo, .. }
            | Self::DeleteManifest { repo, .. }
            | Self::ListTags { repo, .. }
            | Self::Referrers { repo, .. } => Some(repo),
        }
    }

    /// A stable name for metrics and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::GetBlob { .. } => "get_blob",
            Self::HeadBlob { .. } => "head_blob",
            Self::DeleteBlob { .. } => "delete_blob",
            Self::StartUpload { .. } => "start_upload",
            Self::UploadStatus { .. } => "upload_status",
            Self::PatchUpload { .. } => "patch_upload",
            Self::FinishUpload { .. } => "finish_upload",
            Self::CancelUpload { .. } => "cancel_upload",
            Self::GetManifest { .. } => "get_manifest",
            Self::HeadManifest { .. } => "head_manifest",
            Self::PutManifest { .. } => "put_manifest",
            Self::DeleteManifest { .. } => "delete_manifest",
            Self::ListTags { .. } => "list_tags",
            Self::Referrers { .. } => "referrers",
            Self::Catalog { .. } => "catalog",
        }
    }
}
