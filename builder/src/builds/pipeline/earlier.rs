//! Whether the same plan has a result already.

use super::Pipeline;
use super::plan::Planned;
use crate::builds::brief::Brief;
use crate::builds::reproduce::has_result;
use crate::driver::Failure;
use crate::images::ImageName;
use crate::records::{Run, RunResult};

/// How many runs of the same plan are looked at for an image that is still there.
const LOOKED_AT: usize = 20;

/// An earlier run with the same plan, and what it made.
pub(super) struct Earlier {
    pub(super) run: String,
    /// The kept source that it was made of.
    pub(super) source: Option<String>,
    pub(super) image: ImageName,
    pub(super) manifest: oci::Manifest,
    pub(super) result: RunResult,
}

impl Pipeline<'_> {
    /// The newest successful run of this build, or of those without one, with the same plan, time and test, whose image is in the
    /// repository that this one goes to. What only asked whether another reproduces is none: its image was not to have a tag.
    pub(super) async fn earlier(&self, planned: &Planned) -> Result<Option<Earlier>, Failure> {
        if self.run.fresh {
            return Ok(None);
        }
        let now = self.progress.run().await;
        let plan = planned.digest.to_string();
        let may_be = |run: &Brief| run.has_result() && run.plan.as_ref() == Some(&plan);
        let is_same = |run: &Run| {
            has_result(run)
                && run.resolved.plan.as_ref() == Some(&plan)
                && run.resolved.epoch == now.resolved.epoch
                && run.spec.test == now.spec.test
        };
        let build = self.run.build.as_deref();
        let runs = self
            .builds
            .newest(self.namespace(), build, LOOKED_AT, may_be, is_same);
        for run in runs.await? {
            let Some(result) = run.value.result else {
                continue;
            };
            let Ok(image) = ImageName::parse(&result.image, &[]) else {
                continue;
            };
            if *image.repo() != self.wanted.output.repo {
                continue;
            }
            let found = self
                .images()
                .manifest(&self.run.actor, image.repo(), image.reference());
            if let Some(manifest) = found.await? {
                return Ok(Some(Earlier {
                    run: run.value.metadata.name,
                    source: run.value.resolved.source,
                    image,
                    manifest,
                    result,
                }));
            }
        }
        Ok(None)
    }
}
