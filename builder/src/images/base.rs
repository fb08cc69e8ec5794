//! Reading an image that a build stands on.

use std::io::{self, Read};
use std::sync::Arc;

use oci::{Descriptor, Digest, Manifest, ManifestKind, MediaType, Reference, RepoName};
use serde::Deserialize;
use tokio::runtime::Handle;

use super::{ImageName, Images, ImagesError, Platform};
use crate::Compression;
use crate::plan::Image;
use crate::records::Actor;
use crate::rootfs::Blob;
use crate::s2i::ImageConfig;

#[cfg(test)]
mod tests;

/// One image for one platform, as far as it is read: its configuration, and where its layers are.
#[derive(Clone, Debug)]
pub struct BaseImage {
    repo: RepoName,
    manifest: Manifest,
    config: Vec<u8>,
    parsed: ImageConfig,
    layers: Vec<BaseLayer>,
}

/// A layer of an image, before it is unpacked.
#[derive(Clone, Debug)]
struct BaseLayer {
    blob: Descriptor,
    diff_id: Digest,
    compression: Compression,
}

impl BaseImage {
    /// Longest configuration that is read.
    pub const MAX_CONFIG: u64 = 8 << 20;
    /// Most layers: overlayfs takes about so many.
    pub const MAX_LAYERS: usize = 400;

    /// Reads the image that a name means. Of an index, the one for `platform`.
    pub async fn resolve(
        images: &dyn Images,
        actor: &Actor,
        name: &ImageName,
        platform: &Platform,
    ) -> Result<Self, ReadError> {
        let reference = name.reference().clone();
        Self::find(images, actor, name.repo(), reference, platform).await
    }

    /// The same by repository and digest.
    pub async fn by_digest(
        images: &dyn Images,
        actor: &Actor,
        repo: &RepoName,
        digest: Digest,
        platform: &Platform,
    ) -> Result<Self, ReadError> {
        Self::find(images, actor, repo, digest.into(), platform).await
    }

    async fn find(
        images: &dyn Images,
        actor: &Actor,
        repo: &RepoName,
        reference: Reference,
        platform: &Platform,
    ) -> Result<Self, ReadError> {
        let mut shown = show(repo, &reference);
        let mut manifest = fetch(images, actor, repo, &reference).await?;
        let mut depth = 0;
        while manifest.kind() == ManifestKind::Index {
            depth += 1;
            let child = platform.choose(manifest.children());
            let child = child.filter(|_| depth <= MAX_INDEXES).ok_or_else(|| {
                ReadError::Unusable(format!("{shown} has no image for {platform}"))
            })?;
            let reference = child.digest.into();
            shown = show(repo, &reference);
            manifest = fetch(images, actor, repo, &reference).await?;
        }
        let unusable = |why: &str| ReadError::Unusable(format!("{shown} {why}"));
        let config = manifest
            .config()
            .filter(|config| is_config(&config.media_type));
        let config = match (manifest.kind(), config) {
            (ManifestKind::Image, Some(config)) => config.clone(),
            _ => return Err(unusable("is no container image")),
        };
        let bytes = small(images, actor, repo, &config, &shown).await?;
        let parsed =
            ImageConfig::parse(&bytes).map_err(|e| unusable(&format!("is damaged: {e}")))?;
        if !platform.runs(&parsed) {
            return Err(unusable(&format!(
                "is for {}/{}, and this machine is {platform}",
                parsed.os().escape_default(),
                parsed.architecture().escape_default()
            )));
        }
        let layers = layers(&manifest, &bytes).map_err(|why| unusable(&why))?;
        Ok(Self {
            repo: repo.clone(),
            manifest,
            config: bytes,
            parsed,
            layers,
        })
    }

    /// Where it is.
    pub fn repo(&self) -> &RepoName {
        &self.repo
    }

    /// Its manifest: the image's own, never an index.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its manifest's digest.
    pub fn digest(&self) -> Digest {
        self.manifest.digest()
    }

    /// The bytes of its configuration, whose digest was compared.
    pub fn config(&self) -> &[u8] {
        &self.config
    }

    /// How a plan names it; `reference` is how people do.
    pub fn plan_image(&self, reference: impl Into<String>) -> Image {
        Image {
            reference: reference.into(),
            digest: self.digest(),
            config: self.parsed.clone(),
        }
    }

    /// Its layers, the lowest first, to be unpacked by threads that may block and are none of `runtime`'s own.
    pub fn blobs<'a>(
        &'a self,
        images: &'a Arc<dyn Images>,
        actor: &'a Actor,
        runtime: &'a Handle,
    ) -> Vec<Blob<'a>> {
        let blob = |layer: &'a BaseLayer| Blob {
            digest: layer.blob.digest,
            diff_id: layer.diff_id,
            compression: layer.compression,
            open: Box::new(move || {
                let digest = &layer.blob.digest;
                let opened = runtime.block_on(images.blob(actor, &self.repo, digest));
                opened.map_err(io::Error::other)?.ok_or_else(|| {
                    let text = format!("{}: layer {digest} is not in the registry", self.repo);
                    io::Error::new(io::ErrorKind::NotFound, text)
                })
            }),
        };
        self.layers.iter().map(blob).collect()
    }
}

/// Why an image was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such image.
    #[error(
        "there is no image {0} in this registry: copy it there (slipway copy), or name another"
    )]
    Missing(String),
    /// It is none that builds can stand on; the sentence says which and why.
    #[error("{0}")]
    Unusable(String),
    /// The registry did not give it.
    #[error(transparent)]
    Images(#[from] ImagesError),
    /// The registry broke off: try again.
    #[error("{what} could not be read: {source}")]
    Broken {
        /// What was read.
        what: String,
        /// What the system says.
        source: io::Error,
    },
}

/// How deep indexes may lie in each other.
const MAX_INDEXES: usize = 4;

fn show(repo: &RepoName, reference: &Reference) -> String {
    match reference {
        Reference::Tag(tag) => format!("{repo}:{}", tag.as_str()),
        Reference::Digest(digest) => format!("{repo}@{digest}"),
    }
}

fn is_config(media_type: &MediaType) -> bool {
    [MediaType::OCI_CONFIG, MediaType::DOCKER_CONFIG].contains(media_type)
}

async fn fetch(
    images: &dyn Images,
    actor: &Actor,
    repo: &RepoName,
    reference: &Reference,
) -> Result<Manifest, ReadError> {
    let shown = show(repo, reference);
    let found = images.manifest(actor, repo, reference).await?;
    let manifest = found.ok_or_else(|| ReadError::Missing(shown.clone()))?;
    match reference.digest() {
        Some(digest) if digest != manifest.digest() => Err(ReadError::Unusable(format!(
            "the registry has {} as {shown}",
            manifest.digest()
        ))),
        _ => Ok(manifest),
    }
}

/// Reads a small blob whole and compares its digest.
async fn small(
    images: &dyn Images,
    actor: &Actor,
    repo: &RepoName,
    blob: &Descriptor,
    image: &str,
) -> Result<Vec<u8>, ReadError> {
    let what = format!("the configuration of {image}");
    if blob.size > BaseImage::MAX_CONFIG {
        let most = BaseImage::MAX_CONFIG;
        return Err(ReadError::Unusable(format!("{what} is over {most} bytes")));
    }
    let reader = images.blob(actor, repo, &blob.digest).await?;
    let reader = reader.ok_or_else(|| ReadError::Missing(format!("{repo}@{}", blob.digest)))?;
    let limit = blob.size + 1;
    let read = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        reader.take(limit).read_to_end(&mut bytes).map(|_| bytes)
    });
    let read = read
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)));
    let bytes = match read {
        Ok(bytes) => bytes,
        Err(source) => return Err(ReadError::Broken { what, source }),
    };
    if Digest::of(blob.digest.algorithm(), &bytes) != blob.digest {
        return Err(ReadError::Unusable(format!(
            "{what} is damaged: its digest is another"
        )));
    }
    Ok(bytes)
}

/// Image-spec `config.md`, `rootfs`.
#[derive(Deserialize)]
struct Configuration {
    rootfs: Rootfs,
}

#[derive(Deserialize)]
struct Rootfs {
    diff_ids: Option<Vec<Digest>>,
}

/// The manifest's layers with the configuration's diffIDs. The error is what is wrong with the image.
fn layers(manifest: &Manifest, config: &[u8]) -> Result<Vec<BaseLayer>, String> {
    let config: Configuration = serde_json::from_slice(config)
        .map_err(|error| format!("is damaged: its configuration's rootfs: {error}"))?;
    let diff_ids = config.rootfs.diff_ids.unwrap_or_default();
    let blobs = manifest.layers();
    if diff_ids.len() != blobs.len() {
        return Err(format!(
            "is damaged: it has {} layers, and its configuration names {}",
            blobs.len(),
            diff_ids.len()
        ));
    }
    if blobs.len() > BaseImage::MAX_LAYERS {
        let most = BaseImage::MAX_LAYERS;
        return Err(format!(
            "has {} layers, and {most} is the most",
            blobs.len()
        ));
    }
    let layer = |(blob, diff_id): (&Descriptor, Digest)| {
        if blob.may_be_absent() {
            return Err(format!(
                "has a foreign layer ({}), which registries need not have: use an image without such layers",
                blob.media_type
            ));
        }
        let compression = Compression::of(&blob.media_type).ok_or_else(|| {
            format!(
                "has a layer of type {}, which is not known",
                blob.media_type
            )
        })?;
        Ok(BaseLayer {
            blob: blob.clone(),
            diff_id,
            compression,
        })
    };
    blobs.iter().zip(diff_ids).map(layer).collect()
}
