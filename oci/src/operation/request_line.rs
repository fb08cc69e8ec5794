//! From an operation back to the request that asks for it.

use std::fmt::{Display, Write as _};

use http::Method;

use super::Operation;
use super::query::encode;
use crate::{Page, RepoName, UploadId};

impl Operation {
    /// The method, and the path with its query, that [`Operation::parse`] reads as this operation.
    pub fn request_line(&self) -> (Method, String) {
        (self.method(), self.target())
    }

    fn method(&self) -> Method {
        match self {
            Self::HeadBlob { .. } | Self::HeadManifest { .. } => Method::HEAD,
            Self::DeleteBlob { .. } | Self::DeleteManifest { .. } | Self::CancelUpload { .. } => {
                Method::DELETE
            }
            Self::StartUpload { .. } => Method::POST,
            Self::PatchUpload { .. } => Method::PATCH,
            Self::FinishUpload { .. } | Self::PutManifest { .. } => Method::PUT,
            Self::Base
            | Self::GetBlob { .. }
            | Self::UploadStatus { .. }
            | Self::GetManifest { .. }
            | Self::ListTags { .. }
            | Self::Referrers { .. }
            | Self::Catalog { .. } => Method::GET,
        }
    }

    fn target(&self) -> String {
        match self {
            Self::Base => "/v2/".to_owned(),
            Self::GetBlob { repo, digest }
            | Self::HeadBlob { repo, digest }
            | Self::DeleteBlob { repo, digest } => format!("/v2/{repo}/blobs/{digest}"),
            Self::StartUpload {
                repo,
                digest,
                mount,
                from,
                digest_algorithm,
            } => {
                Target::new(format!("/v2/{repo}/blobs/uploads/"))
                    .with("digest", digest.as_ref())
                    .with("mount", mount.as_ref())
                    .with("from", from.as_ref())
                    .with("digest-algorithm", digest_algorithm.as_ref())
                    .0
            }
            Self::UploadStatus { repo, id }
            | Self::PatchUpload { repo, id }
            | Self::CancelUpload { repo, id } => upload(repo, *id),
            Self::FinishUpload { repo, id, digest } => {
                Target::new(upload(repo, *id))
                    .with("digest", Some(digest))
                    .0
            }
            Self::GetManifest { repo, reference }
            | Self::HeadManifest { repo, reference }
            | Self::DeleteManifest { repo, reference } => {
                format!("/v2/{repo}/manifests/{reference}")
            }
            Self::PutManifest {
                repo,
                reference,
                tags,
            } => {
                let target = Target::new(format!("/v2/{repo}/manifests/{reference}"));
                tags.iter()
                    .fold(target, |target, tag| target.with("tag", Some(tag)))
                    .0
            }
            Self::ListTags { repo, page } => {
                Target::new(format!("/v2/{repo}/tags/list")).page(page).0
            }
            Self::Referrers {
                repo,
                digest,
                artifact_type,
                page,
            } => {
                Target::new(format!("/v2/{repo}/referrers/{digest}"))
                    .with("artifactType", artifact_type.as_ref())
                    .page(page)
                    .0
            }
            Self::Catalog { page } => Target::new("/v2/_catalog".to_owned()).page(page).0,
        }
    }
}

fn upload(repo: &RepoName, id: UploadId) -> String {
    format!("/v2/{repo}/blobs/uploads/{id}")
}

/// A path that parameters are added to.
struct Target(String);

impl Target {
    fn new(path: String) -> Self {
        Self(path)
    }

    fn with<T: Display>(mut self, name: &str, value: Option<&T>) -> Self {
        if let Some(value) = value {
            let mark = if self.0.contains('?') { '&' } else { '?' };
            let value = value.to_string();
            // Writing to a String cannot fail.
            let _ = write!(self.0, "{mark}{name}={}", encode(&value));
        }
        self
    }

    fn page(self, page: &Page) -> Self {
        self.with("n", page.n().as_ref())
            .with("last", page.last().as_ref())
    }
}
