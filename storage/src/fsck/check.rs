//! One thing held against both sides. Looks at the index and the store anew each time, so that
//! what looked wrong while a server was at work can be looked at again.

use std::sync::Arc;

use oci::{Digest, RepoName, Tag, UploadId};

use super::object;
use super::{Finding, Kind};
use crate::index::{Link, LinkState};
use crate::{Index, Key, ObjectStore, StorageError, content, layout};

/// What can be looked at.
#[derive(Debug, Clone)]
pub(super) enum Subject {
    /// Bytes and their row.
    Blob(Digest),
    /// A link object and its row.
    Link(Link),
    /// A media type beside a revision's link.
    MediaType(RepoName, Digest),
    /// What a tag points or pointed to.
    TagEntry(RepoName, Tag, Digest),
    /// A file of an upload.
    Upload(UploadId, Key),
    /// A file outside the layout.
    Unknown(Key),
}

/// What was found, and what it took.
#[derive(Debug, Default)]
pub(super) struct Looked {
    pub(super) findings: Vec<Finding>,
    pub(super) hashed_bytes: u64,
}

/// Both sides.
#[derive(Debug, Clone)]
pub(super) struct Check {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) index: Arc<dyn Index>,
    pub(super) deep: bool,
    pub(super) complete: bool,
}

impl Check {
    pub(super) async fn look(&self, subject: &Subject) -> Result<Looked, StorageError> {
        let findings = match subject {
            Subject::Blob(digest) => return self.blob(digest).await,
            Subject::Link(Link::Layer(repo, digest)) => self.layer(repo, digest).await?,
            Subject::Link(Link::Revision(repo, digest)) => self.revision(repo, digest).await?,
            Subject::Link(Link::Tag(repo, tag)) => self.tag(repo, tag).await?,
            Subject::MediaType(repo, digest) => self.media_type(repo, digest).await?,
            Subject::TagEntry(repo, tag, digest) => self.tag_entry(repo, tag, digest).await?,
            Subject::Upload(id, key) => match self.index.upload(id).await? {
                None => {
                    self.left(Kind::UploadOrphan, key, "no upload goes on here")
                        .await?
                }
                Some(_) => Vec::new(),
            },
            Subject::Unknown(key) => {
                self.left(Kind::FileUnknown, key, "not of the layout")
                    .await?
            }
        };
        Ok(Looked {
            findings,
            hashed_bytes: 0,
        })
    }

    async fn blob(&self, digest: &Digest) -> Result<Looked, StorageError> {
        let key = layout::blob(digest);
        let row = self.index.blob_size(digest).await?;
        let object = object::open(&*self.store, &key).await?;
        let (kind, what, hashed_bytes) = match (row, object) {
            (None, None) => return Ok(Looked::default()),
            (None, Some(object)) => {
                let what = format!("{} bytes that the index does not know", object.size);
                let findings = vec![Finding::new(Kind::BlobUnreferenced, &key, what)];
                return Ok(Looked {
                    findings,
                    hashed_bytes: 0,
                });
            }
            (Some(size), None) => {
                let what = format!("{digest} has no file; it had {size} bytes");
                (Kind::BlobMissing, what, 0)
            }
            (Some(size), Some(object)) if object.size != size => {
                let what = format!("{digest} has {} bytes instead of {size}", object.size);
                (Kind::BlobSize, what, 0)
            }
            (Some(_), Some(_)) if !self.deep => return Ok(Looked::default()),
            (Some(hashed_bytes), Some(object)) => {
                let got = content::digest(object, digest.algorithm()).await?;
                if got == *digest {
                    return Ok(Looked {
                        findings: Vec::new(),
                        hashed_bytes,
                    });
                }
                (Kind::BlobHash, other_bytes(digest, &got), hashed_bytes)
            }
        };
        let what = format!("{what}{}", self.held_by(digest).await?);
        Ok(Looked {
            findings: vec![Finding::new(kind, &key, what)],
            hashed_bytes,
        })
    }

    /// Who misses a blob.
    async fn held_by(&self, digest: &Digest) -> Result<String, StorageError> {
        const SHOWN: usize = 5;
        let holders = self.index.holders(digest, None, SHOWN + 1).await?;
        let names: Vec<&str> = holders.iter().take(SHOWN).map(RepoName::as_str).collect();
        let more = if holders.len() > SHOWN {
            " and more"
        } else {
            ""
        };
        Ok(match names.as_slice() {
            [] => String::new(),
            names => format!("; held by {}{more}", names.join(", ")),
        })
    }

    async fn layer(&self, repo: &RepoName, digest: &Digest) -> Result<Vec<Finding>, StorageError> {
        let link = Link::Layer(repo.clone(), *digest);
        let (state, pending) = self.index.link(&link).await?;
        let key = layout::layer(repo, digest);
        let said = object::link(&*self.store, &key).await?;
        let expected = (state != LinkState::Absent).then(|| digest.to_string());
        let is_stray = expected.is_none() && said.is_some() && pending.is_empty();
        if is_stray && !self.has_object(&layout::blob(digest)).await? {
            // What Distribution's garbage collection leaves behind.
            let what = "a link to a blob that is not there";
            return Ok(vec![Finding::new(Kind::LinkLeftover, &key, what)]);
        }
        Ok(compare(&key, expected.as_deref(), said, &pending))
    }

    async fn tag(&self, repo: &RepoName, tag: &Tag) -> Result<Vec<Finding>, StorageError> {
        let link = Link::Tag(repo.clone(), tag.clone());
        let (state, pending) = self.index.link(&link).await?;
        let key = layout::tag_current(repo, tag);
        let said = object::link(&*self.store, &key).await?;
        let LinkState::Tag(digest) = state else {
            return self.stray_tag(repo, &key, said, &pending).await;
        };
        let text = digest.to_string();
        let mut findings = compare(&key, Some(&text), said, &pending);
        let entry = layout::tag_index(repo, tag, &digest);
        let said = object::link(&*self.store, &entry).await?;
        findings.extend(compare(&entry, Some(&text), said, &pending));
        if self.index.manifest(repo, &digest).await?.is_none() {
            let what = format!("points to {digest}, which {repo} does not hold");
            findings.push(Finding::new(Kind::TagDangling, &key, what));
        }
        Ok(findings)
    }

    /// A tag's link that the index does not know. Where what it points to is no manifest that can
    /// be served, there is nothing to know.
    async fn stray_tag(
        &self,
        repo: &RepoName,
        key: &Key,
        said: Option<String>,
        pending: &[i64],
    ) -> Result<Vec<Finding>, StorageError> {
        let target = said.as_deref().and_then(|said| Digest::parse(said).ok());
        let findings = compare(key, None, said, pending);
        let Some(target) = target.filter(|_| pending.is_empty()) else {
            return Ok(findings);
        };
        if !self.has_object(&layout::revision(repo, &target)).await? {
            let what = format!("points to {target}, which is not there");
            return Ok(vec![Finding::new(Kind::LinkLeftover, key, what)]);
        }
        if let Some(reason) = self.refused(repo, &target).await? {
            let what = format!("points to {target}, which is not served: {reason}");
            return Ok(vec![Finding::new(Kind::ManifestRefused, key, what).noted()]);
        }
        Ok(findings)
    }

    async fn media_type(
        &self,
        repo: &RepoName,
        digest: &Digest,
    ) -> Result<Vec<Finding>, StorageError> {
        let key = layout::media_type(repo, digest);
        let row = self.index.manifest(repo, digest).await?;
        // Where there is a row, the look at the revision compares it.
        if row.is_some() || !self.has_object(&key).await? {
            return Ok(Vec::new());
        }
        let what = "the media type of a manifest that the index does not know";
        Ok(vec![Finding::new(Kind::LinkLeftover, &key, what)])
    }

    async fn tag_entry(
        &self,
        repo: &RepoName,
        tag: &Tag,
        digest: &Digest,
    ) -> Result<Vec<Finding>, StorageError> {
        let link = Link::Tag(repo.clone(), tag.clone());
        let (state, pending) = self.index.link(&link).await?;
        let key = layout::tag_index(repo, tag, digest);
        let is_history = state != LinkState::Absent || !pending.is_empty();
        // Where the tag's own link is a stray, that says it all.
        if is_history
            || self.has_object(&layout::tag_current(repo, tag)).await?
            || !self.has_object(&key).await?
        {
            return Ok(Vec::new());
        }
        let what = "the history of a tag that is not there";
        Ok(vec![Finding::new(Kind::LinkLeftover, &key, what)])
    }

    /// A file that nothing needs, if it is still there.
    async fn left(&self, kind: Kind, key: &Key, what: &str) -> Result<Vec<Finding>, StorageError> {
        let is_there = self.has_object(key).await?;
        let finding = is_there.then(|| Finding::new(kind, key, what));
        Ok(finding.into_iter().collect())
    }

    pub(super) async fn has_object(&self, key: &Key) -> Result<bool, StorageError> {
        Ok(object::head(&*self.store, key).await?.is_some())
    }
}

pub(super) fn other_bytes(digest: &Digest, got: &Digest) -> String {
    format!("the bytes of {digest} have the digest {got}")
}

/// What a link says against what it must say.
pub(super) fn compare(
    key: &Key,
    expected: Option<&str>,
    said: Option<String>,
    pending: &[i64],
) -> Vec<Finding> {
    let (kind, what) = match (expected, said) {
        (None, None) => return Vec::new(),
        (Some(expected), Some(said)) if expected == said => return Vec::new(),
        (Some(expected), None) => (
            Kind::LinkMissing,
            format!("there is no such file; it said {expected}"),
        ),
        (Some(expected), Some(said)) => (
            Kind::LinkContent,
            format!("{} instead of {expected}", quoted(&said)),
        ),
        (None, Some(said)) => (
            Kind::LinkStray,
            format!("{}; the index knows nothing of it", quoted(&said)),
        ),
    };
    let kind = if pending.is_empty() {
        kind
    } else {
        Kind::LinkPending
    };
    vec![Finding::new(kind, key, what)]
}

/// What a file says, fit for a line of text.
pub(crate) fn quoted(said: &str) -> String {
    const SHOWN: usize = 160;
    match said.char_indices().nth(SHOWN) {
        _ if said.is_empty() => "is empty".to_owned(),
        None => format!("says {said:?}"),
        Some((end, _)) => format!("says {:?}…", &said[..end]),
    }
}
