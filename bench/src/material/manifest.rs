//! Image manifests, of the size that real ones have.

use serde_json::json;

use super::{Blob, sha256};

/// The manifest types that a container runtime accepts.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, \
     application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, */*";

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A manifest ready to be put.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    /// Its exact bytes.
    pub(crate) bytes: Vec<u8>,
    /// Its media type.
    pub(crate) media_type: &'static str,
    /// Its digest.
    pub(crate) digest: String,
}

impl Manifest {
    fn new(media_type: &'static str, value: &serde_json::Value) -> Self {
        let bytes = value.to_string().into_bytes();
        let digest = sha256(&bytes);
        Self {
            bytes,
            media_type,
            digest,
        }
    }

    /// An image of this config and these layers.
    pub(crate) fn image(config: &Blob, layers: &[&Blob]) -> Self {
        let layers: Vec<_> = layers
            .iter()
            .map(|layer| descriptor(LAYER, layer))
            .collect();
        let value = json!({
            "schemaVersion": 2, "mediaType": IMAGE,
            "config": descriptor(CONFIG, config), "layers": layers,
        });
        Self::new(IMAGE, &value)
    }

    /// The same image with an annotation, so that each `number` gives another digest.
    pub(crate) fn numbered(config: &Blob, number: u64) -> Self {
        let value = json!({
            "schemaVersion": 2, "mediaType": IMAGE,
            "config": descriptor(CONFIG, config), "layers": [],
            "annotations": {"org.opencontainers.image.version": number.to_string()},
        });
        Self::new(IMAGE, &value)
    }

    /// A signature-like artifact that refers to `subject`.
    pub(crate) fn referrer(config: &Blob, subject: &Self, number: u64) -> Self {
        let value = json!({
            "schemaVersion": 2, "mediaType": IMAGE, "artifactType": "application/vnd.example.signature",
            "config": descriptor(CONFIG, config), "layers": [], "subject": subject.descriptor(),
            "annotations": {"number": number.to_string()},
        });
        Self::new(IMAGE, &value)
    }

    /// The index that clients keep for `children` under the tag schema where the referrers API is missing.
    pub(crate) fn referrers_index(children: &[Self]) -> Self {
        let children: Vec<_> = children
            .iter()
            .map(|child| {
                let mut value = child.descriptor();
                value["artifactType"] = json!("application/vnd.example.signature");
                value
            })
            .collect();
        let value = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": children});
        Self::new(INDEX, &value)
    }

    fn descriptor(&self) -> serde_json::Value {
        json!({"mediaType": self.media_type, "digest": self.digest, "size": self.bytes.len()})
    }
}

fn descriptor(media_type: &str, blob: &Blob) -> serde_json::Value {
    json!({"mediaType": media_type, "digest": blob.digest(), "size": blob.size()})
}
