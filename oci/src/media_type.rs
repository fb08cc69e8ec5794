//! Media types.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

#[cfg(test)]
mod tests;

/// A media type without parameters: `type/subtype` of RFC 6838 section 4.2, at most
/// [`MediaType::MAX_LEN`] bytes. Safe in a header.
///
/// Spelling is kept, except that the types named here are recognised in any case and become their
/// constant: two readers then cannot disagree on what an `Application/…Index…` is.
#[derive(Clone)]
pub struct MediaType(Text);

#[derive(Clone)]
enum Text {
    Known(&'static str),
    Other(Arc<str>),
}

macro_rules! known {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// The types that this registry treats in a way of their own.
        impl MediaType {
            $($(#[$doc])* pub const $name: Self = Self(Text::Known($text));)*

            /// Every constant above.
            pub const KNOWN: &[Self] = &[$(Self::$name),*];
        }
    };
}

known! {
    /// OCI image manifest.
    OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
    /// OCI image index.
    OCI_INDEX = "application/vnd.oci.image.index.v1+json";
    /// OCI artifact manifest: withdrawn before 1.1 was final, but pushed by clients of that time.
    OCI_ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json";
    /// OCI image configuration.
    OCI_CONFIG = "application/vnd.oci.image.config.v1+json";
    /// The empty JSON object `{}`, where a descriptor is demanded and there is nothing to describe.
    OCI_EMPTY = "application/vnd.oci.empty.v1+json";
    /// OCI layer, uncompressed.
    OCI_LAYER = "application/vnd.oci.image.layer.v1.tar";
    /// OCI layer, gzip.
    OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// OCI layer, zstd.
    OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd";
    /// OCI layer that may not be distributed, uncompressed.
    OCI_LAYER_NONDISTRIBUTABLE = "application/vnd.oci.image.layer.nondistributable.v1.tar";
    /// OCI layer that may not be distributed, gzip.
    OCI_LAYER_NONDISTRIBUTABLE_GZIP = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    /// OCI layer that may not be distributed, zstd.
    OCI_LAYER_NONDISTRIBUTABLE_ZSTD = "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd";
    /// Docker image manifest, schema 2.
    DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker manifest list.
    DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Docker image manifest, schema 1: refused.
    DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json";
    /// Docker image manifest, schema 1, signed: refused.
    DOCKER_SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    /// Docker image configuration.
    DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json";
    /// Docker layer, uncompressed.
    DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar";
    /// Docker layer, gzip.
    DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    /// Docker layer to be had elsewhere, uncompressed.
    DOCKER_LAYER_FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar";
    /// Docker layer to be had elsewhere, gzip.
    DOCKER_LAYER_FOREIGN_GZIP = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    /// Helm chart configuration.
    HELM_CONFIG = "application/vnd.cncf.helm.config.v1+json";
    /// Helm chart archive.
    HELM_CHART = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
    /// Helm chart provenance.
    HELM_PROVENANCE = "application/vnd.cncf.helm.chart.provenance.v1.prov";
    /// Any JSON.
    JSON = "application/json";
    /// Bytes of which nothing is known; what blobs are served as.
    OCTET_STREAM = "application/octet-stream";
}

impl MediaType {
    /// Longest media type in bytes.
    pub const MAX_LEN: usize = 255;

    /// Reads `type/subtype`.
    pub fn parse(text: &str) -> Result<Self, InvalidMediaType> {
        let is_same = |known: &&Self| known.as_str().eq_ignore_ascii_case(text);
        if let Some(known) = Self::KNOWN.iter().find(is_same) {
            return Ok(known.clone());
        }
        match text.split_once('/') {
            Some((kind, subtype))
                if text.len() <= Self::MAX_LEN && is_name(kind) && is_name(subtype) =>
            {
                Ok(Self(Text::Other(text.into())))
            }
            _ => Err(InvalidMediaType),
        }
    }

    /// Reads a `Content-Type` header's value; parameters such as `; charset=utf-8` are dropped.
    pub fn from_content_type(value: &str) -> Result<Self, InvalidMediaType> {
        let text = value.split_once(';').map_or(value, |(text, _)| text);
        Self::parse(text.trim_matches([' ', '\t']))
    }

    /// The text, `type/subtype`.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Known(text) => text,
            Text::Other(text) => text,
        }
    }

    /// An OCI index or a Docker manifest list.
    pub fn is_index(&self) -> bool {
        *self == Self::OCI_INDEX || *self == Self::DOCKER_LIST
    }

    /// An OCI image manifest or a Docker schema 2 manifest.
    pub fn is_image_manifest(&self) -> bool {
        *self == Self::OCI_MANIFEST || *self == Self::DOCKER_MANIFEST
    }

    /// A Docker schema 1 manifest, which no current client can push or pull.
    pub fn is_schema1(&self) -> bool {
        *self == Self::DOCKER_SCHEMA1 || *self == Self::DOCKER_SCHEMA1_SIGNED
    }

    /// A layer that need not be in the registry (image-spec `layer.md`, "Non-Distributable Layers").
    pub fn is_non_distributable(&self) -> bool {
        const PREFIXES: [&str; 2] = [
            "application/vnd.oci.image.layer.nondistributable.v1.tar",
            "application/vnd.docker.image.rootfs.foreign.diff.tar",
        ];
        PREFIXES
            .iter()
            .any(|prefix| self.as_str().starts_with(prefix))
    }

    /// JSON by its own name: `application/json` or a `+json` suffix (RFC 6839).
    pub fn is_json(&self) -> bool {
        *self == Self::JSON || self.as_str().ends_with("+json")
    }
}

/// `restricted-name` of RFC 6838 section 4.2.
fn is_name(text: &str) -> bool {
    text.len() <= 127
        && text
            .as_bytes()
            .first()
            .is_some_and(u8::is_ascii_alphanumeric)
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
}

/// A text is no media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid media type: it is type/subtype as in RFC 6838, at most 255 bytes")]
pub struct InvalidMediaType;

impl PartialEq for MediaType {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for MediaType {}

impl Hash for MediaType {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl PartialOrd for MediaType {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for MediaType {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

crate::text::text_form!(MediaType, InvalidMediaType);
crate::text::str_form!(MediaType);
