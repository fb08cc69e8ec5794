//! What was built becomes an image with tags: blobs first, then one manifest with all its tags.

use std::collections::BTreeMap;

use futures_util::stream::{self, TryStreamExt as _};
use oci::{Descriptor, Manifest, MediaType, Tag};
use serde_json::json;

use super::earlier::Earlier;
use super::keep::parse;
use super::plan::Planned;
use super::resolve::Bases;
use super::{Pipeline, stopped};
use crate::Compression;
use crate::builds::progress::insist;
use crate::builds::reason::failure;
use crate::builds::reproduce::is_check;
use crate::driver::{Built, Failure, Used};
use crate::images::{BaseImage, ImageName, ImagesError};
use crate::records::{Build, OwnReason, Run, RunResult};

/// Layers of a base that are mounted at a time.
const MOUNTED_AT_A_TIME: usize = 32;

impl Pipeline<'_> {
    /// Publishes what a driver built.
    pub(super) async fn publish(
        &self,
        bases: &Bases,
        planned: &Planned,
        built: Built,
    ) -> Result<RunResult, Failure> {
        let repo = &self.wanted.output.repo;
        let base = bases.all().find(|image| image.digest() == built.base);
        let base = base.ok_or_else(|| {
            let message = format!("the driver built upon {}, which is in no plan", built.base);
            failure(OwnReason::RegistryRefused, message)
        })?;
        let layer = built.layer.as_ref().map(|(layer, _)| layer.descriptor());
        let manifest = manifest(base, layer.as_ref(), &built.config)?;
        let digest = manifest.digest();
        let image = ImageName::pinned(repo.clone(), digest);
        let same_as = self.same_as(&image).await?;
        let mut result = RunResult {
            image: image.to_string(),
            tags: self.tags().await.iter().map(ToString::to_string).collect(),
            layer_bytes: layer.as_ref().map_or(0, |layer| layer.size),
            same_as,
            differs: Vec::new(),
            reused: false,
            used: built.usage,
        };
        self.note(format!("plan {}", planned.digest)).await;
        // A check that reproduced: all of it is there.
        if is_check(self.run) && result.same_as.is_some() {
            return Ok(result);
        }
        let actor = &self.run.actor;
        let images = self.images();
        self.unless_stopped(async {
            let layer = async {
                if let Some((layer, file)) = built.layer {
                    images.put_blob(actor, repo, &layer.digest, file).await?;
                }
                Ok(())
            };
            let config = self.put_small(repo, &built.config);
            tokio::try_join!(self.mount_layers(base), layer, config).map(drop)
        })
        .await?;
        if is_check(self.run) {
            let compared = self.unless_stopped(self.changed_files(&manifest)).await?;
            for text in &compared {
                self.note(format!("differs: {text}")).await;
            }
            result.differs = self.changed_inputs().await?;
            result.differs.extend(compared);
        }
        self.put(&manifest, &result).await?;
        Ok(result)
    }

    /// Makes the base's layers the repository's. Several at a time: their syncs overlap.
    async fn mount_layers(&self, base: &BaseImage) -> Result<(), Failure> {
        let (images, actor) = (self.images(), &self.run.actor);
        let layers = stream::iter(base.manifest().layers().iter().map(Ok));
        let mount = |blob: &Descriptor| {
            let digest = blob.digest;
            async move {
                let repo = &self.wanted.output.repo;
                if images.mount(actor, repo, base.repo(), &digest).await? {
                    return Ok(());
                }
                let message = format!(
                    "layer {digest} of {} is not in the registry any more",
                    base.repo()
                );
                Err(failure(OwnReason::RegistryRefused, message))
            }
        };
        layers
            .try_for_each_concurrent(MOUNTED_AT_A_TIME, mount)
            .await
    }

    /// Publishes once more what the same plan gave before.
    pub(super) async fn publish_again(&self, earlier: &Earlier) -> Result<RunResult, Failure> {
        let text = format!(
            "nothing has changed since {}, whose image is taken; to build it all the same, ask with --no-reuse (in the API: \"fresh\": true)",
            earlier.run
        );
        self.note(text).await;
        let result = RunResult {
            image: earlier.image.to_string(),
            tags: self.tags().await.iter().map(ToString::to_string).collect(),
            layer_bytes: earlier.result.layer_bytes,
            same_as: Some(earlier.run.clone()),
            differs: Vec::new(),
            reused: true,
            used: Used::default(),
        };
        self.put(&earlier.manifest, &result).await?;
        Ok(result)
    }

    /// The one step that others see. The ledger says beforehand what it will be; from there on the run is not stopped.
    async fn put(&self, manifest: &Manifest, result: &RunResult) -> Result<(), Failure> {
        if self.stop.token().is_cancelled() {
            return Err(stopped());
        }
        let about_to = |run: &mut Run| run.result = Some(result.clone());
        self.unless_stopped(async {
            // What took an hour to build does not fail because a disk is full for a minute.
            let noted = insist(self.stop, || self.progress.change(about_to));
            noted.await.map_err(Failure::from)
        })
        .await?;
        let tags = self.tags().await;
        let repo = &self.wanted.output.repo;
        let images = self.images();
        let put = images.put_manifest(&self.run.actor, repo, manifest, &tags);
        match put.await {
            // It may have been done before the answer was lost; then that is what is so. Nothing else is said before that is
            // known.
            Err(ImagesError::Unavailable(why)) => {
                let asked = insist(self.stop, || self.builds.is_published(self.run, result));
                let is_published = asked.await?;
                let lost = ImagesError::Unavailable(why).into();
                is_published.then_some(()).ok_or(lost)
            }
            other => Ok(other?),
        }
    }

    /// The tags of this run's result. Whether something reproduces moves none.
    pub(super) async fn tags(&self) -> Vec<Tag> {
        if is_check(self.run) {
            return Vec::new();
        }
        let commit = self.progress.run().await.resolved.commit;
        let name = &self.run.metadata.name;
        self.wanted.output.tags(name, commit.as_deref())
    }

    /// The run that made the same image: the one that is done again, or the newest one that succeeded.
    async fn same_as(&self, image: &ImageName) -> Result<Option<String>, Failure> {
        if let Some((other, then)) = self.held_against().await? {
            return Ok((then.image == image.to_string()).then_some(other));
        }
        let Some(build) = &self.run.build else {
            return Ok(None);
        };
        let store = self.builds.store();
        let found = store.find::<Build>(self.namespace(), build).await?;
        let Some(other) = found.and_then(|build| build.value.status.succeeded) else {
            return Ok(None);
        };
        let run = store.find::<Run>(self.namespace(), &other).await?;
        let result = run.and_then(|run| run.value.result);
        let is_same = result.is_some_and(|result| result.image == image.to_string());
        Ok(is_same.then_some(other))
    }
}

/// The image's manifest: the base's layers, then what was made.
fn manifest(
    base: &BaseImage,
    layer: Option<&Descriptor>,
    config: &[u8],
) -> Result<Manifest, Failure> {
    let digest = oci::Digest::of(oci::Algorithm::Sha256, config);
    let config = Descriptor::new(MediaType::OCI_CONFIG, digest, config.len() as u64);
    let of_base = base.manifest().layers().iter().map(|layer| Descriptor {
        // An OCI manifest, whatever the base's was.
        media_type: Compression::of(&layer.media_type)
            .map_or_else(|| layer.media_type.clone(), Compression::media_type),
        annotations: layer.annotations.clone(),
        ..Descriptor::new(layer.media_type.clone(), layer.digest, layer.size)
    });
    let layers: Vec<Descriptor> = of_base.chain(layer.cloned()).collect();
    let annotations = BTreeMap::from([
        (
            "org.opencontainers.image.base.digest",
            base.digest().to_string(),
        ),
        (
            "org.opencontainers.image.base.name",
            base.repo().to_string(),
        ),
    ]);
    parse(&json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST.as_str(),
        "config": config,
        "layers": layers,
        "annotations": annotations,
    }))
}
