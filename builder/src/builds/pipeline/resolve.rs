//! Names of images become digests.

use crate::builds::reason;
use crate::builds::reproduce::is_check;
use crate::builds::spec::BuilderName;
use crate::builds::{Builds, BuildsError};
use crate::driver::Failure;
use crate::images::{BaseImage, ImageName, Platform};
use crate::records::{Build, OwnReason, Run};
use crate::s2i::Reason;

use super::Pipeline;

/// The images that a run stands on.
pub(super) struct Bases {
    pub(super) builder: BaseImage,
    /// What the builder image is called in the result's labels.
    pub(super) builder_name: String,
    pub(super) runtime: Option<BaseImage>,
    pub(super) previous: Option<BaseImage>,
}

impl Bases {
    pub(super) fn all(&self) -> impl Iterator<Item = &BaseImage> {
        let others = self.runtime.iter().chain(&self.previous);
        std::iter::once(&self.builder).chain(others)
    }
}

impl Pipeline<'_> {
    pub(super) async fn resolve(&self) -> Result<Bases, Failure> {
        let images = self.images();
        images
            .may_push(&self.run.actor, &self.wanted.output.repo, &[])
            .await?;
        let resolved = &self.run.resolved;
        let pinned = is_check(self.run);
        let (builder, builder_name) = match (pinned, &resolved.builder) {
            (true, Some(pinned)) => {
                let name = resolved.builder_name.clone();
                (kept(pinned)?, name.unwrap_or_else(|| pinned.clone()))
            }
            _ => self.builder().await?,
        };
        let builder = self.read(&builder, Reason::PullBuilderImageFailed).await?;
        let runtime = match (&self.wanted.runtime, pinned, &resolved.runtime) {
            (None, ..) => None,
            (Some(_), true, Some(pinned)) => Some(kept(pinned)?),
            (Some((image, _)), ..) => Some(image.clone()),
        };
        let runtime = match runtime {
            Some(image) => Some(self.read(&image, Reason::PullRuntimeImageFailed).await?),
            None => None,
        };
        let previous = match (pinned, &resolved.previous) {
            (true, pinned) => pinned.as_deref().map(kept).transpose()?,
            (false, _) => self.last_result().await?,
        };
        let previous = match previous {
            Some(image) => self.read_previous(&image, pinned).await?,
            None => None,
        };
        let bases = Bases {
            builder,
            builder_name,
            runtime,
            previous,
        };
        let name =
            |image: &BaseImage| ImageName::pinned(image.repo().clone(), image.digest()).to_string();
        self.note(format!("builder image {}", name(&bases.builder)))
            .await;
        let change = |run: &mut Run| {
            run.resolved.builder = Some(name(&bases.builder));
            run.resolved.builder_name = Some(bases.builder_name.clone());
            run.resolved.runtime = bases.runtime.as_ref().map(name);
            run.resolved.previous = bases.previous.as_ref().map(name);
        };
        self.progress.change(change).await?;
        Ok(bases)
    }

    /// Asks for the right to move those of the tags that are there, before a program runs. Not at once: who may only make new
    /// ones may do again what has been done, which moves none.
    pub(super) async fn may_move_tags(&self) -> Result<(), Failure> {
        let (repo, tags) = (&self.wanted.output.repo, self.tags().await);
        let may = self.images().may_push(&self.run.actor, repo, &tags);
        Ok(may.await?)
    }

    async fn builder(&self) -> Result<(ImageName, String), Failure> {
        let found = self
            .builds
            .builder_name(self.namespace(), &self.wanted.builder);
        found.await.map_err(|error| match error {
            // As of an image that is not there.
            BuildsError::Invalid(error) => {
                reason::failure(Reason::PullBuilderImageFailed, error.to_string())
            }
            error => error.into(),
        })
    }

    async fn read(&self, name: &ImageName, reason: Reason) -> Result<BaseImage, Failure> {
        let platform = Platform::of_this_machine();
        let read = BaseImage::resolve(&**self.images(), &self.run.actor, name, &platform);
        read.await.map_err(|error| {
            let mut failure = reason::image(reason, error);
            let first = name.repo().namespace();
            if first.contains('.') {
                let message = &failure.message;
                failure.message = format!(
                    "{message}; {first} is a namespace of this registry here: an image of another registry is copied first \
                     (slipway copy)"
                );
            }
            failure
        })
    }

    /// What artifacts are taken over from, if they are to be: the newest result of the build; without one, the image that
    /// the output names now.
    async fn last_result(&self) -> Result<Option<ImageName>, Failure> {
        if !self.run.spec.incremental {
            return Ok(None);
        }
        let Some(build) = &self.run.build else {
            let output = &self.wanted.output;
            return kept(&format!("{}:{}", output.repo, output.tag)).map(Some);
        };
        let store = self.builds.store();
        let found = store.find::<Build>(self.namespace(), build).await?;
        let Some(newest) = found.and_then(|build| build.value.status.succeeded) else {
            return Ok(None);
        };
        let run = store.find::<Run>(self.namespace(), &newest).await?;
        let result = run.and_then(|run| run.value.result);
        result.map(|result| kept(&result.image)).transpose()
    }

    /// A previous image that is not to be had makes a clean build, unless the same is to come out again.
    async fn read_previous(
        &self,
        name: &ImageName,
        pinned: bool,
    ) -> Result<Option<BaseImage>, Failure> {
        match self.read(name, Reason::PullPreviousImageFailed).await {
            Ok(image) => Ok(Some(image)),
            Err(failure) if pinned => Err(failure),
            Err(failure) => {
                let text =
                    format!("nothing is taken over from {name}, this is a clean build: {failure}");
                self.note(text).await;
                Ok(None)
            }
        }
    }
}

impl Builds {
    /// The image that a builder's name means, and that image's name as it is written: a catalogue entry of the namespace, or
    /// one that is everybody's, by its name or by language and version, or an image with its tag or digest.
    pub(in crate::builds) async fn builder_name(
        &self,
        namespace: &str,
        name: &BuilderName,
    ) -> Result<(ImageName, String), BuildsError> {
        let hosts = &self.settings().hosts;
        let text = match name {
            BuilderName::Image(image) => return Ok((image.clone(), image.to_string())),
            BuilderName::Entry(name) => match self.find_builder_image(namespace, name).await? {
                Some(entry) => entry.value.image,
                None => self.of_language(namespace, name, None).await?.image,
            },
            BuilderName::Version { language, version } => {
                let entry = self.of_language(namespace, language, Some(version));
                entry.await?.image
            }
        };
        let image = crate::builds::name::image(&text, hosts, "spec.builder")?;
        Ok((image, text))
    }
}

/// A name that was written by a run.
fn kept(text: &str) -> Result<ImageName, Failure> {
    ImageName::parse(text, &[]).map_err(|error| {
        let message = format!("{text:?} in the run's record is no image: {error}");
        reason::failure(OwnReason::RecordsUnavailable, message)
    })
}
