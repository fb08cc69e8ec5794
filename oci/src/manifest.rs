//! Manifests: the roots of all that is stored, kept byte for byte.

mod error;
mod json;
mod links;
mod parse;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{Algorithm, Descriptor, Digest, MediaType};
use links::Links;

pub use error::InvalidManifest;
pub use parse::inferred_media_type;

/// Longest manifest in bytes that is taken; the specification demands at least 4 MiB.
pub const MAX_MANIFEST_BYTES: usize = 8 << 20;

/// Most descriptors in one manifest.
pub const MAX_DESCRIPTORS: usize = 20_000;

/// Deepest nesting of objects and arrays in one manifest.
pub const MAX_DEPTH: usize = 64;

/// Most JSON values in one manifest, whatever they are.
pub const MAX_VALUES: usize = 250_000;

/// A manifest: an image manifest, an index, or whatever a client says is one; with the exact bytes it came as.
///
/// Made by [`Manifest::parse`] only, so none exists that two readers could take for two things (CVE-2021-41190).
#[derive(Clone, Debug)]
pub struct Manifest {
    bytes: Bytes,
    digest: Digest,
    media_type: MediaType,
    links: Links,
}

/// What a manifest is to a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ManifestKind {
    /// An OCI image manifest or Docker schema 2 manifest; also what artifacts are packed as (image-spec 1.1).
    Image,
    /// An OCI index or Docker manifest list.
    Index,
    /// The OCI artifact manifest that was withdrawn before image-spec 1.1.
    Artifact,
    /// Anything else. Its links are those of its fields that have the shape of an image's or index's.
    Other,
}

/// Which digest a manifest must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Any; it is computed with this algorithm.
    Algorithm(Algorithm),
    /// This one.
    Digest(Digest),
}

impl Manifest {
    /// Reads a manifest's body as it was sent with this `Content-Type`; without one, the body must say itself what
    /// it is ([`inferred_media_type`]).
    pub fn parse(
        body: Bytes,
        content_type: Option<&MediaType>,
        expected: impl Into<Expected>,
    ) -> Result<Self, InvalidManifest> {
        if body.len() > MAX_MANIFEST_BYTES {
            return Err(InvalidManifest::TooLarge);
        }
        let digest = match expected.into() {
            Expected::Algorithm(algorithm) => Digest::of(algorithm, &body),
            Expected::Digest(expected) => {
                let actual = Digest::of(expected.algorithm(), &body);
                if actual != expected {
                    return Err(InvalidManifest::DigestMismatch { actual });
                }
                actual
            }
        };
        let (media_type, links) = parse::parse(&body, content_type)?;
        Ok(Self {
            bytes: body,
            digest,
            media_type,
            links,
        })
    }

    /// The exact bytes it came as.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The digest of those bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What to serve it as.
    pub fn media_type(&self) -> &MediaType {
        &self.media_type
    }

    /// What it is to a registry.
    pub fn kind(&self) -> ManifestKind {
        ManifestKind::of(&self.media_type)
    }

    /// An image's configuration.
    pub fn config(&self) -> Option<&Descriptor> {
        self.links.config.as_ref()
    }

    /// An image's layers, or the blobs of an artifact manifest.
    pub fn layers(&self) -> &[Descriptor] {
        &self.links.layers
    }

    /// The manifests an index lists. They need not exist: a sparse index is legal.
    pub fn children(&self) -> &[Descriptor] {
        &self.links.manifests
    }

    /// The manifest that this one is about, whether or not it exists.
    pub fn subject(&self) -> Option<&Descriptor> {
        self.links.subject.as_ref()
    }

    /// What a referrers list says it is, and filters by (distribution-spec, "Listing Referrers"): its `artifactType`;
    /// without one, an image's configuration's media type.
    pub fn artifact_type(&self) -> Option<&str> {
        let said = self.links.artifact_type.as_deref();
        said.or_else(|| match self.kind() {
            ManifestKind::Image => self.config().map(|config| config.media_type.as_str()),
            _ => None,
        })
    }

    /// Words about it.
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        &self.links.annotations
    }

    /// The blobs that must be in the repository before this manifest is: configuration and layers, but for those
    /// that may be absent ([`Descriptor::may_be_absent`]). One blob may come twice.
    pub fn required_blobs(&self) -> impl Iterator<Item = &Descriptor> {
        let blobs = self.links.config.iter().chain(&self.links.layers);
        blobs.filter(|blob| !blob.may_be_absent())
    }

    /// Its entry in a referrers list: with its artifact type and its annotations.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor {
            artifact_type: self.artifact_type().map(str::to_owned),
            annotations: self.links.annotations.clone(),
            ..Descriptor::new(
                self.media_type.clone(),
                self.digest,
                self.bytes.len() as u64,
            )
        }
    }
}

impl ManifestKind {
    /// The kind that a media type stands for.
    pub fn of(media_type: &MediaType) -> Self {
        if media_type.is_image_manifest() {
            Self::Image
        } else if media_type.is_index() {
            Self::Index
        } else if *media_type == MediaType::OCI_ARTIFACT {
            Self::Artifact
        } else {
            Self::Other
        }
    }
}

impl From<Algorithm> for Expected {
    fn from(algorithm: Algorithm) -> Self {
        Self::Algorithm(algorithm)
    }
}

impl From<Digest> for Expected {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest)
    }
}
