//! The image as an OCI layout (image-spec `image-layout.md`).

use std::fs;
use std::path::Path;

use oci::{Algorithm, Digest, MediaType};
use serde_json::{Value, json};

use super::error::CreateError;
use crate::Compression;
use crate::layer::{Layer, Packing, pack};

/// The folder that is written.
pub(super) struct Layout<'a> {
    dir: &'a Path,
}

impl<'a> Layout<'a> {
    pub(super) fn create(dir: &'a Path) -> Result<Self, CreateError> {
        let blobs = dir.join("blobs/sha256");
        fs::create_dir_all(&blobs)
            .map_err(|error| CreateError::io(blobs.display().to_string(), error))?;
        Ok(Self { dir })
    }

    /// Writes a layer, and names it by its digest when it is whole.
    pub(super) fn layer(
        &self,
        threads: usize,
        archive: impl FnOnce(Packing) -> Result<(Packing, u64), CreateError>,
    ) -> Result<Layer, CreateError> {
        let blobs = self.dir.join("blobs/sha256");
        let failed = |error| CreateError::io(blobs.display().to_string(), error);
        let mut file = tempfile::NamedTempFile::new_in(&blobs).map_err(failed)?;
        let layer = pack(Compression::Gzip, threads, file.as_file_mut(), archive)?;
        file.persist(blobs.join(layer.digest.hex()))
            .map_err(|error| failed(error.error))?;
        Ok(layer)
    }

    /// Writes the configuration, the manifest and the index.
    pub(super) fn image(
        &self,
        config: &Value,
        layers: &[&Layer],
        tag: &str,
    ) -> Result<Digest, CreateError> {
        let config = config.to_string().into_bytes();
        let config_digest = self.blob(&config)?;
        let layers: Vec<_> = layers.iter().map(|layer| layer.descriptor()).collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_MANIFEST.as_str(),
            "config": {
                "mediaType": MediaType::OCI_CONFIG.as_str(),
                "digest": config_digest.to_string(),
                "size": config.len(),
            },
            "layers": layers,
        });
        let manifest = manifest.to_string().into_bytes();
        let digest = self.blob(&manifest)?;
        let index = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_INDEX.as_str(),
            "manifests": [{
                "mediaType": MediaType::OCI_MANIFEST.as_str(),
                "digest": digest.to_string(),
                "size": manifest.len(),
                "annotations": {"org.opencontainers.image.ref.name": tag},
            }],
        });
        self.file("index.json", index.to_string().as_bytes())?;
        self.file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        Ok(digest)
    }

    fn blob(&self, content: &[u8]) -> Result<Digest, CreateError> {
        let digest = Digest::of(Algorithm::Sha256, content);
        self.file(&format!("blobs/sha256/{}", digest.hex()), content)?;
        Ok(digest)
    }

    fn file(&self, name: &str, content: &[u8]) -> Result<(), CreateError> {
        let path = self.dir.join(name);
        fs::write(&path, content)
            .map_err(|error| CreateError::io(path.display().to_string(), error))
    }
}
