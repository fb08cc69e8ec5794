//! A manifest: its link, its bytes, and what the index has of it.

use bytes::Bytes;
use oci::{Digest, Manifest, MediaType, RepoName};

use super::check::{Check, compare, other_bytes, quoted};
use super::object;
use super::{Finding, Kind};
use crate::index::{Edge, Link, LinkState, ManifestRecord};
use crate::{StorageError, content, layout};

impl Check {
    pub(super) async fn revision(
        &self,
        repo: &RepoName,
        digest: &Digest,
    ) -> Result<Vec<Finding>, StorageError> {
        let link = Link::Revision(repo.clone(), *digest);
        let (state, pending) = self.index.link(&link).await?;
        let key = layout::revision(repo, digest);
        let said = object::link(&*self.store, &key).await?;
        let LinkState::Revision(media_type) = state else {
            let findings = compare(&key, None, said, &pending);
            let is_stray = findings.iter().any(|found| found.id == Kind::LinkStray);
            return match self.refused(repo, digest).await? {
                Some(reason) if is_stray => {
                    let what = format!("the manifest is not served: {reason}");
                    Ok(vec![
                        Finding::new(Kind::ManifestRefused, &key, what).noted(),
                    ])
                }
                _ => Ok(findings),
            };
        };
        let mut findings = compare(&key, Some(&digest.to_string()), said, &pending);
        let manifest_bytes = match self.sound_bytes(digest).await? {
            Ok(manifest_bytes) => manifest_bytes,
            Err(finding) => {
                findings.extend(finding);
                return Ok(findings);
            }
        };
        findings.extend(
            self.beside(repo, digest, &manifest_bytes, &media_type, &pending)
                .await?,
        );
        if let Some(record) = self.index.revision(repo, digest).await? {
            findings.extend(self.facts(repo, manifest_bytes, &record).await?);
        }
        Ok(findings)
    }

    /// The bytes, if they are what the digest says. What is wrong with their number, the look at
    /// the blob says.
    async fn sound_bytes(
        &self,
        digest: &Digest,
    ) -> Result<Result<Bytes, Option<Finding>>, StorageError> {
        let key = layout::blob(digest);
        let Some(object) = object::open(&*self.store, &key).await? else {
            let finding = Finding::new(Kind::BlobMissing, &key, format!("{digest} has no file"));
            return Ok(Err(Some(finding)));
        };
        let size = object.size;
        if size > oci::MAX_MANIFEST_BYTES as u64 {
            return Ok(Err(None));
        }
        let found = content::bytes(object).await?;
        let got = Digest::of(digest.algorithm(), &found);
        if got == *digest {
            return Ok(Ok(found));
        }
        let has_size = self.index.blob_size(digest).await? == Some(size);
        // Once is enough: a wrong size says that the bytes are others.
        Ok(Err(has_size.then(|| {
            Finding::new(Kind::BlobHash, &key, other_bytes(digest, &got))
        })))
    }

    /// The media type beside the link: there exactly where the bytes do not tell it.
    async fn beside(
        &self,
        repo: &RepoName,
        digest: &Digest,
        manifest_bytes: &[u8],
        media_type: &MediaType,
        pending: &[i64],
    ) -> Result<Vec<Finding>, StorageError> {
        let key = layout::media_type(repo, digest);
        let said = object::link(&*self.store, &key).await?;
        let is_told = oci::inferred_media_type(manifest_bytes).as_ref() == Some(media_type);
        Ok(match said {
            Some(said) if is_told && said == media_type.as_str() => {
                let what = "the manifest's bytes say it already";
                vec![Finding::new(Kind::LinkLeftover, &key, what)]
            }
            None if is_told => Vec::new(),
            said => compare(&key, Some(media_type.as_str()), said, pending),
        })
    }

    async fn facts(
        &self,
        repo: &RepoName,
        manifest_bytes: Bytes,
        record: &ManifestRecord,
    ) -> Result<Vec<Finding>, StorageError> {
        let digest = record.facts.digest;
        let place = format!("{repo}@{digest}");
        let size = manifest_bytes.len() as u64;
        let manifest = match Manifest::parse(manifest_bytes, Some(&record.facts.media_type), digest)
        {
            Ok(manifest) => manifest,
            Err(error) => {
                let what = error.to_string();
                return Ok(vec![Finding::new(Kind::ManifestRefused, place, what)]);
            }
        };
        let mut findings = Vec::new();
        if record.facts.size != size || record.artifact_type.as_deref() != manifest.artifact_type()
        {
            let what = format!(
                "the index has {} bytes of type {:?}, the manifest has {size} of {:?}",
                record.facts.size,
                record.artifact_type,
                manifest.artifact_type()
            );
            findings.push(Finding::new(Kind::ManifestFacts, &place, what));
        }
        let edges = Edge::of(&manifest);
        if record.edges != edges {
            let what = edges_differ(&record.edges, &edges);
            findings.push(Finding::new(Kind::ManifestEdges, &place, what));
        }
        let needed: Vec<Digest> = manifest.required_blobs().map(|blob| blob.digest).collect();
        for blob in self.index.missing_blobs(repo, &needed).await? {
            let what = format!("it needs {blob}, which {repo} does not hold");
            let finding = Finding::new(Kind::ManifestIncomplete, &place, what);
            let is_wrong = self.complete || self.was_held(repo, &blob).await?;
            findings.push(if is_wrong { finding } else { finding.noted() });
        }
        Ok(findings)
    }

    /// A link to a blob that is not held says that it was: the image was whole once.
    async fn was_held(&self, repo: &RepoName, blob: &Digest) -> Result<bool, StorageError> {
        let link = Link::Layer(repo.clone(), *blob);
        let (_, pending) = self.index.link(&link).await?;
        Ok(pending.is_empty() && self.has_object(&layout::layer(repo, blob)).await?)
    }

    /// Why a manifest that the index does not know could not be in it. `None`: it could.
    pub(super) async fn refused(
        &self,
        repo: &RepoName,
        digest: &Digest,
    ) -> Result<Option<String>, StorageError> {
        let Ok(found) = self.sound_bytes(digest).await? else {
            return Ok(None);
        };
        let beside = object::link(&*self.store, &layout::media_type(repo, digest)).await?;
        let media_type = match beside.as_deref().map(MediaType::parse) {
            None => None,
            Some(Ok(media_type)) => Some(media_type),
            Some(Err(error)) => {
                let said = quoted(beside.as_deref().unwrap_or_default());
                return Ok(Some(format!("the media type beside it {said}: {error}")));
            }
        };
        let parsed = Manifest::parse(found, media_type.as_ref(), *digest);
        Ok(parsed.err().map(|error| error.to_string()))
    }
}

fn edges_differ(have: &[Edge], should: &[Edge]) -> String {
    let first = |of: &[Edge], not_in: &[Edge]| of.iter().find(|e| !not_in.contains(e)).copied();
    match (first(should, have), first(have, should)) {
        (Some(edge), _) => format!("the index lacks that it names {}", edge.target),
        (None, Some(edge)) => format!("the index says that it names {}", edge.target),
        (None, None) => "the index names something twice".to_owned(),
    }
}
