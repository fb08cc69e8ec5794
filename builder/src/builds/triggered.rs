//! What whoever starts runs by itself asks of builds.

use std::time::SystemTime;

use super::brief::Brief;
use super::definitions::seconds;
use super::reproduce::has_result;
use super::spec::Wanted;
use super::{Builds, BuildsError, PageOf, Recorded};
use crate::images::{BaseImage, ImageName, Platform, ReadError};
use crate::ledger::{Kept, Kind, Ledger};
use crate::records::{Actor, Build, BuildSpec, Missed, Run, Status, Tried};

/// An image that a build stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// As the spec has it.
    pub(crate) written: String,
    /// The image that this means now.
    pub(crate) name: ImageName,
    /// Whether it is the runtime image, not the builder image.
    pub(crate) is_runtime: bool,
}

impl Builds {
    /// The next builds of all namespaces that something starts by itself, in the order of namespace and name after `after`,
    /// which goes on to the last of them; `None` after the last.
    pub(crate) async fn triggered(
        &self,
        after: &mut Option<(String, String)>,
    ) -> Result<Option<Vec<Recorded<Build>>>, BuildsError> {
        let from = after.as_ref();
        let from = from.map(|(namespace, name)| (namespace.as_str(), name.as_str()));
        let kept = self.store().ledger().open(Kind::Build, from, PageOf::MAX);
        let kept = kept.await?;
        let Some(Kept { key, .. }) = kept.last() else {
            return Ok(None);
        };
        *after = Some((key.namespace.clone(), key.name.clone()));
        let builds = kept.iter().filter_map(|kept| self.store().readable(kept));
        Ok(Some(builds.collect()))
    }

    /// Lets a build's schedule begin now, unless the build was changed since it was read: whoever changed it is asked again.
    pub(crate) async fn begin_schedule(
        &self,
        build: &Recorded<Build>,
        now: SystemTime,
    ) -> Result<(), BuildsError> {
        let scheduled = Some(seconds(now));
        self.note(build, |status| status.scheduled = scheduled)
            .await
    }

    /// Notes at a build which images that have moved it was tried with, unless it was changed since it was read.
    pub(crate) async fn note_tried(
        &self,
        build: &Recorded<Build>,
        tried: Option<Tried>,
    ) -> Result<(), BuildsError> {
        self.note(build, |status| status.tried = tried).await
    }

    /// Notes at a build why its schedule, or an image that has moved, starts nothing, unless it says so already or was changed since it was read.
    pub(crate) async fn note_missed(
        &self,
        build: &Recorded<Build>,
        why: &str,
        now: SystemTime,
    ) -> Result<(), BuildsError> {
        let known = build.value.status.missed.as_ref();
        if known.is_some_and(|known| known.why == why) {
            return Ok(());
        }
        let missed = Missed {
            since: known.map_or_else(|| seconds(now), |known| known.since),
            why: why.to_owned(),
        };
        self.note(build, |status| status.missed = Some(missed))
            .await
    }

    async fn note(
        &self,
        build: &Recorded<Build>,
        change: impl FnOnce(&mut Status),
    ) -> Result<(), BuildsError> {
        let mut noted = build.clone();
        change(&mut noted.value.status);
        match self.store().replace(noted).await {
            Ok(_) | Err(BuildsError::Changed { .. } | BuildsError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The images that a spec names, as the catalogue has them now.
    pub(crate) async fn stands_on(
        &self,
        namespace: &str,
        spec: &BuildSpec,
    ) -> Result<Vec<Standing>, BuildsError> {
        let wanted = Wanted::parse(namespace, spec, self.settings())?;
        let (builder, _) = self.builder_name(namespace, &wanted.builder).await?;
        let mut all = vec![Standing {
            written: spec.builder.clone(),
            name: builder,
            is_runtime: false,
        }];
        if let (Some(runtime), Some((name, _))) = (&spec.runtime, wanted.runtime) {
            all.push(Standing {
                written: runtime.image.clone(),
                name,
                is_runtime: true,
            });
        }
        Ok(all)
    }

    /// The image, by digest, that a run would take for a name now; read with the owner's rights.
    pub(crate) async fn now(
        &self,
        standing: &Standing,
        owner: &Actor,
    ) -> Result<ImageName, ReadError> {
        let platform = Platform::of_this_machine();
        let images = &*self.parts().images;
        let read = BaseImage::resolve(images, owner, &standing.name, &platform).await?;
        Ok(ImageName::pinned(read.repo().clone(), read.digest()))
    }

    /// The newest run that published an image, by digest.
    pub(crate) async fn run_that_made(
        &self,
        image: &ImageName,
    ) -> Result<Option<Run>, BuildsError> {
        let (name, namespace) = (image.to_string(), image.repo().namespace());
        let digest = image.digest().map(|digest| digest.to_string());
        let mut made = Vec::new();
        let look = |run: Brief| {
            if run.has_result() && run.made == digest {
                made.push((run.ended, run.name));
            }
        };
        self.store().look(namespace, "", look).await?;
        made.sort_unstable();
        for (_, run) in made.iter().rev() {
            // Another repository may have the same image.
            let is_it = |run: &Run| {
                let result = run.result.as_ref();
                has_result(run) && result.is_some_and(|made| made.image == name)
            };
            match self.store().find::<Run>(namespace, run).await {
                Ok(Some(run)) if is_it(&run.value) => return Ok(Some(run.value)),
                Ok(_) | Err(BuildsError::Unreadable { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    pub(crate) fn ledger(&self) -> &dyn Ledger {
        self.store().ledger()
    }
}
