//! One of each operation, for tests that must cover them all.

use super::Operation;
use crate::{Algorithm, Digest, Page, Reference, RepoName, Tag, UploadId};

impl Operation {
    /// One of each variant, in the order of the enum, with made-up names; for coverage tests, such as that each
    /// has a row in an authorization table.
    ///
    /// # Panics
    ///
    /// Never: the names are constants.
    #[expect(
        clippy::expect_used,
        reason = "the names are constants, and a test builds them"
    )]
    pub fn examples() -> Vec<Self> {
        let repo = RepoName::parse("team/app").expect("a name");
        let from = RepoName::parse("team/base").expect("a name");
        let tag = Tag::parse("v1.0").expect("a tag");
        let digest = Digest::of(Algorithm::Sha256, b"{}");
        let other = Digest::of(Algorithm::Sha512, b"{}");
        let reference = Reference::Tag(tag.clone());
        let id = UploadId::from_random([7; 16]);
        let page = Page::new(Some(10), Some("v0.9".to_owned())).expect("a page");
        let start = |digest, mount, from, digest_algorithm| Self::StartUpload {
            repo: repo.clone(),
            digest,
            mount,
            from,
            digest_algorithm,
        };
        vec![
            Self::Base,
            Self::GetBlob {
                repo: repo.clone(),
                digest,
            },
            Self::HeadBlob {
                repo: repo.clone(),
                digest: other,
            },
            Self::DeleteBlob {
                repo: repo.clone(),
                digest,
            },
            start(None, None, None, Some(Algorithm::Sha512)),
            start(Some(digest), None, None, None),
            start(None, Some(digest), Some(from), None),
            Self::UploadStatus {
                repo: repo.clone(),
                id,
            },
            Self::PatchUpload {
                repo: repo.clone(),
                id,
            },
            Self::FinishUpload {
                repo: repo.clone(),
                id,
                digest,
            },
            Self::CancelUpload {
                repo: repo.clone(),
                id,
            },
            Self::GetManifest {
                repo: repo.clone(),
                reference: reference.clone(),
            },
            Self::HeadManifest {
                repo: repo.clone(),
                reference: reference.clone(),
            },
            Self::PutManifest {
                repo: repo.clone(),
                reference: Reference::Digest(digest),
                tags: vec![tag],
            },
            Self::DeleteManifest {
                repo: repo.clone(),
                reference,
            },
            Self::ListTags {
                repo: repo.clone(),
                page: page.clone(),
            },
            Self::Referrers {
                repo,
                digest,
                artifact_type: Some("application/spdx+json".to_owned()),
                page: page.clone(),
            },
            Self::Catalog { page },
        ]
    }
}
