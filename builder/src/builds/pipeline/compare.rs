//! Why the same did not come out again: what went into a run and its earlier one, then what is in their images.

mod inputs;
mod json;
mod layers;

use std::io::{BufReader, Read};

use oci::{Descriptor, Manifest, RepoName};
use serde_json::Value;

use super::Pipeline;
use crate::Compression;
use crate::builds::reason::failure;
use crate::builds::reproduce::against;
use crate::driver::Failure;
use crate::images::{BaseImage, ImageName};
use crate::records::{Against, Cause, OwnReason, Run};
use crate::until::Until;

pub(super) use inputs::ingredients;

/// How many differences of two images are named.
const MOST: usize = 10;

impl Pipeline<'_> {
    /// What of all that decides a result is another than in the run that this one is to reproduce, one sentence each; none if it
    /// is to reproduce none.
    pub(super) async fn changed_inputs(&self) -> Result<Vec<String>, Failure> {
        let Some((_, then)) = self.held_against().await? else {
            return Ok(Vec::new());
        };
        let now = self.progress.run().await.resolved;
        Ok(inputs::changed(&then.resolved, &now))
    }

    /// What is in the image of that run and not in this one's, or the other way round; the first of it. This one's blobs are in its
    /// repository. What cannot be compared is said so: the run has its result all the same.
    pub(super) async fn changed_files(&self, made: &Manifest) -> Result<Vec<String>, Failure> {
        let Some((_, then)) = self.held_against().await? else {
            return Ok(Vec::new());
        };
        let compared = self.compare(&then.image, made).await;
        Ok(compared.unwrap_or_else(|why| vec![format!("the images are not compared: {why}")]))
    }

    /// The run that this one is to reproduce, by name, and what is known of it; `None` if it is to reproduce none.
    pub(super) async fn held_against(&self) -> Result<Option<(String, Against)>, Failure> {
        let Cause::Again {
            run, same: true, ..
        } = &self.run.cause
        else {
            return Ok(None);
        };
        if let Some(known) = &self.run.against {
            return Ok(Some((run.clone(), known.clone())));
        }
        // Asked for by a version that did not note it.
        let store = self.builds.store();
        let found = store.find::<Run>(self.namespace(), run).await?;
        let known = found.and_then(|found| against(&found.value));
        let known = known.ok_or_else(|| {
            let message =
                format!("the record of {run} is gone: there is nothing to hold this run against");
            failure(OwnReason::RecordsUnavailable, message)
        })?;
        Ok(Some((run.clone(), known)))
    }

    async fn compare(&self, earlier: &str, made: &Manifest) -> Result<Vec<String>, String> {
        let said = |error: &dyn std::fmt::Display| error.to_string();
        let name = ImageName::parse(earlier, &[]).map_err(|error| said(&error))?;
        let (actor, repo) = (&self.run.actor, name.repo());
        let found = self.images().manifest(actor, repo, name.reference());
        let then = found.await.map_err(|error| said(&error))?;
        let then = then.ok_or_else(|| format!("{earlier} is not there any more"))?;
        let mut all = Vec::new();
        if let (Some(a), Some(b)) = (then.config(), made.config())
            && a.digest != b.digest
        {
            let (mut a, mut b) = (self.json(repo, a).await?, self.json(self.repo(), b).await?);
            // It names the layers, which are looked at below.
            for config in [&mut a, &mut b] {
                config.as_object_mut().map(|config| config.remove("rootfs"));
            }
            all.extend(
                json::changed(&a, &b, MOST)
                    .into_iter()
                    .map(|key| format!("configuration: {key}")),
            );
        }
        if then.layers().len() != made.layers().len() {
            let (then, now) = (then.layers().len(), made.layers().len());
            all.push(format!("layers: {then} then, {now} now"));
            return Ok(all);
        }
        for (a, b) in then.layers().iter().zip(made.layers()) {
            if a.digest != b.digest && all.len() < MOST {
                let changed = self.layers(repo, a, b, MOST - all.len()).await?;
                if changed.is_empty() {
                    all.push("layer: the same files, packed otherwise".to_owned());
                }
                all.extend(changed);
            }
        }
        Ok(all)
    }

    fn repo(&self) -> &RepoName {
        &self.wanted.output.repo
    }

    async fn json(&self, repo: &RepoName, config: &Descriptor) -> Result<Value, String> {
        let gone = || format!("the configuration {} is not there any more", config.digest);
        let found = self.images().blob(&self.run.actor, repo, &config.digest);
        let blob = found.await.map_err(|error| error.to_string())?;
        let blob = self.until_stopped(blob.ok_or_else(gone)?);
        let read = self.builds.0.threads.spawn_blocking(move || {
            serde_json::from_reader(BufReader::new(blob.take(BaseImage::MAX_CONFIG)))
        });
        let read = read.await.map_err(|error| error.to_string())?;
        read.map_err(|error| error.to_string())
    }

    /// What differs between a layer of that repository and one of this run's.
    async fn layers(
        &self,
        repo: &RepoName,
        then: &Descriptor,
        now: &Descriptor,
        most: usize,
    ) -> Result<Vec<String>, String> {
        let then = self.layer(repo, then).await?;
        let now = self.layer(self.repo(), now).await?;
        let stop = self.cancel.clone();
        let read = self.builds.0.threads.spawn_blocking(move || {
            // Few bytes may be very many uncompressed.
            let open = |(compression, blob): (Compression, _)| {
                let archive = compression.reader(BufReader::new(blob));
                archive.map(|archive| Until::new(archive, stop.clone()))
            };
            layers::changed(open(then)?, open(now)?, most)
        });
        let read = read.await.map_err(|error| error.to_string())?;
        read.map_err(|error| error.to_string())
    }

    async fn layer(
        &self,
        repo: &RepoName,
        layer: &Descriptor,
    ) -> Result<(Compression, Until<Box<dyn Read + Send>>), String> {
        let gone = || format!("the layer {} is not there any more", layer.digest);
        let compression = Compression::of(&layer.media_type);
        let compression =
            compression.ok_or_else(|| format!("{} is no layer's type", layer.media_type))?;
        let found = self.images().blob(&self.run.actor, repo, &layer.digest);
        let blob = found.await.map_err(|error| error.to_string())?;
        Ok((compression, self.until_stopped(blob.ok_or_else(gone)?)))
    }
}
