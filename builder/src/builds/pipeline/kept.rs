//! A source that was kept or sent. What a plan needs of it says its artifact's config; its layer is read for who builds it, and
//! where there is no such config: an older one's, another program's, one that `.s2iignore` was read otherwise for.

use std::io::{self, BufReader, Read};

use oci::{Descriptor, Digest, Hasher, Manifest};

use super::fetch::Kept;
use super::{Pipeline, keep};
use crate::Compression;
use crate::builds::reason::{failure, machine};
use crate::driver::Failure;
use crate::images::ImageName;
use crate::plan::Source;
use crate::records::OwnReason;
use crate::s2i::Warning;
use crate::source::{self, CONFIG_TYPE, SourceLimits, upload};

impl Pipeline<'_> {
    /// A source that was kept or sent; read only if its config does not say what it is.
    pub(super) async fn kept(&self, name: &ImageName) -> Result<Kept, Failure> {
        let manifest = self.kept_manifest(name).await?;
        // Nobody waits for a plan of what is no source.
        layer(&manifest, name)?;
        let Some((mut source, warnings)) = self.said(name, &manifest).await? else {
            return self.read_layer(name, &manifest).await;
        };
        keep::recall(&mut source, &manifest);
        Ok(Kept {
            source,
            warnings,
            name: ImageName::pinned(name.repo().clone(), manifest.digest()),
            snapshot: None,
        })
    }

    /// The same, read.
    pub(super) async fn read_kept(&self, name: &ImageName) -> Result<Kept, Failure> {
        let manifest = self.kept_manifest(name).await?;
        self.read_layer(name, &manifest).await
    }

    async fn kept_manifest(&self, name: &ImageName) -> Result<Manifest, Failure> {
        let actor = &self.run.actor;
        let found = self.images().manifest(actor, name.repo(), name.reference());
        found.await?.ok_or_else(|| missing(name))
    }

    /// A blob of it.
    async fn kept_blob(
        &self,
        name: &ImageName,
        digest: &Digest,
    ) -> Result<Box<dyn Read + Send>, Failure> {
        let blob = self.images().blob(&self.run.actor, name.repo(), digest);
        blob.await?.ok_or_else(|| missing(name))
    }

    /// What its config says of its layer.
    async fn said(
        &self,
        name: &ImageName,
        manifest: &Manifest,
    ) -> Result<Option<(Source, Vec<Warning>)>, Failure> {
        let is_ours = |config: &&Descriptor| config.media_type.as_str() == CONFIG_TYPE;
        let Some(config) = manifest.config().filter(is_ours) else {
            return Ok(None);
        };
        let blob = self.kept_blob(name, &config.digest).await?;
        let blob = self.until_stopped(blob.take(source::MAX_CONFIG_BYTES));
        let read = self.builds.0.threads.spawn_blocking(move || {
            let (mut blob, mut bytes) = (blob, Vec::new());
            blob.read_to_end(&mut bytes).map(|_| bytes)
        });
        let read = read
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)));
        let bytes = read.map_err(|error| machine("reading the source's config", &error))?;
        let is_whole = Digest::of(config.digest.algorithm(), &bytes) == config.digest;
        Ok(is_whole
            .then(|| source::said(&bytes, self.run.spec.ignore))
            .flatten())
    }

    async fn read_layer(&self, name: &ImageName, manifest: &Manifest) -> Result<Kept, Failure> {
        let (layer, compression) = layer(manifest, name)?;
        let blob = self.kept_blob(name, &layer.digest).await?;
        let settings = self.builds.settings();
        let (ignore, limits) = (self.run.spec.ignore, settings.source);
        let scratch = settings.scratch.clone();
        let (blob, stop) = (self.until_stopped(blob), self.cancel.clone());
        let written = self.writing.ours().clone();
        let read = self.builds.0.threads.spawn_blocking(move || {
            let mut checked = Checked::new(blob, &layer, limits);
            let snapshot = match compression {
                Compression::Plain | Compression::Gzip => {
                    upload::archive_for(&written, &mut checked, ignore, limits, (&scratch, &stop))
                }
                Compression::Zstd => {
                    let decoder = compression.reader(BufReader::new(&mut checked));
                    let decoder = decoder.map_err(|error| machine("zstd", &error))?;
                    upload::archive_for(&written, decoder, ignore, limits, (&scratch, &stop))
                }
            }?;
            checked.finish()?;
            Ok::<_, Failure>(snapshot)
        });
        let read = read
            .await
            .map_err(|error| machine("reading the source", &error.into()))?;
        let snapshot = read?;
        let mut source = snapshot.source();
        keep::recall(&mut source, manifest);
        Ok(Kept {
            source,
            warnings: snapshot.warnings().to_vec(),
            name: ImageName::pinned(name.repo().clone(), manifest.digest()),
            snapshot: Some(snapshot),
        })
    }
}

fn missing(name: &ImageName) -> Failure {
    let message =
        format!("the source {name} is not in this registry (any more): send or fetch it again");
    failure(OwnReason::SourceNotFound, message)
}

/// The one layer of a source, and how it is compressed.
fn layer(manifest: &Manifest, name: &ImageName) -> Result<(Descriptor, Compression), Failure> {
    let [layer] = manifest.layers() else {
        let layers = manifest.layers().len();
        let message =
            format!("{name} is no source: it has {layers} layers, and a source has one, a tar");
        return Err(failure(OwnReason::SourceNotFound, message));
    };
    let compression = Compression::of(&layer.media_type).ok_or_else(|| {
        let message = format!("{name} is no source: its layer is {}", layer.media_type);
        failure(OwnReason::SourceNotFound, message)
    })?;
    Ok((layer.clone(), compression))
}

/// A blob that is compared with its digest as it is read, and not read beyond its length.
struct Checked<R> {
    blob: R,
    hasher: Hasher,
    left: u64,
    digest: Digest,
}

impl<R: Read> Checked<R> {
    fn new(blob: R, layer: &Descriptor, limits: SourceLimits) -> Self {
        Self {
            blob,
            hasher: Hasher::new(layer.digest.algorithm()),
            left: layer.size.min(limits.fetched_bytes),
            digest: layer.digest,
        }
    }

    /// Reads what is left; what was read must be the blob.
    fn finish(mut self) -> Result<(), Failure> {
        io::copy(&mut self, &mut io::sink())
            .map_err(|error| machine("reading the source", &error))?;
        if self.hasher.finish() == self.digest {
            return Ok(());
        }
        let message = "the source's bytes in the registry are not those that its digest names, or too many of them";
        Err(failure(OwnReason::SourceNotFound, message))
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let most = most.min(buffer.len());
        let read = self.blob.read(&mut buffer[..most])?;
        self.hasher.update(&buffer[..read]);
        self.left -= read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use oci::Algorithm;

    use super::*;

    #[test]
    fn a_blob_of_another_digest_is_refused() {
        let bytes = b"a source".to_vec();
        let digest = Digest::of(Algorithm::Sha256, &bytes);
        let layer = Descriptor::new(oci::MediaType::OCI_LAYER, digest, bytes.len() as u64);
        let limits = SourceLimits::default();
        Checked::new(io::Cursor::new(bytes), &layer, limits)
            .finish()
            .unwrap();
        let other = io::Cursor::new(b"another!".to_vec());
        Checked::new(other, &layer, limits).finish().unwrap_err();
    }
}
