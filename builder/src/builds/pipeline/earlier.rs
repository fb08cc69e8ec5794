//! Whether the same plan has a result already.

use super::Pipeline;
use super::plan::Planned;
use crate::builds::record::Recorded;
use crate::driver::Failure;
use crate::images::ImageName;
use crate::records::{Run, RunResult, State};

/// An earlier run with the same plan, and what it made.
pub(super) struct Earlier {
    pub(super) run: String,
    pub(super) image: ImageName,
    pub(super) manifest: oci::Manifest,
    pub(super) result: RunResult,
}

impl Pipeline<'_> {
    /// The newest successful run of this build, or of those without one, with the same plan, time and test, whose image is in the
    /// repository that this one goes to.
    pub(super) async fn earlier(&self, planned: &Planned) -> Result<Option<Earlier>, Failure> {
        if self.run.fresh {
            return Ok(None);
        }
        let now = self.progress.run().await;
        let plan = planned.digest.to_string();
        let is_same = |run: &Recorded<Run>| {
            let run = &run.value;
            run.state == State::Succeeded
                && run.resolved.plan.as_ref() == Some(&plan)
                && run.resolved.epoch == now.resolved.epoch
                && run.spec.test == now.spec.test
        };
        let runs = match &self.run.build {
            Some(build) => self.builds.all_runs_of(self.namespace(), build).await?,
            None => self.builds.runs_alone(self.namespace()).await?,
        };
        for run in runs.into_iter().filter(is_same) {
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
                    image,
                    manifest,
                    result,
                }));
            }
        }
        Ok(None)
    }
}
