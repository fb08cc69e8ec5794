//! The driver runs the plan.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::Pipeline;
use super::fetch::Fetched;
use super::plan::Planned;
use super::resolve::Bases;
use crate::builds::reason::machine;
use crate::driver::{Built, Failure, Job};
use crate::source::Snapshot;

impl Pipeline<'_> {
    /// Not to be dropped: the driver cleans up before it returns, and it is told when to.
    pub(super) async fn build(
        &self,
        bases: &Bases,
        source: &Fetched,
        snapshot: &Snapshot,
        planned: &Planned,
    ) -> Result<Built, Failure> {
        if self.cancel.is_cancelled() {
            return Err(self.why_stopped());
        }
        let source_file = snapshot.open();
        let job = Job {
            id: uuid::Uuid::new_v4().simple().to_string(),
            namespace: self.namespace().to_owned(),
            plan: planned.plan.clone(),
            images: Arc::clone(self.images()),
            actor: self.run.actor.clone(),
            bases: bases
                .all()
                .map(|image| (image.digest(), image.repo().clone()))
                .collect(),
            source: source_file.map_err(|error| machine("the source", &error))?,
            scripts: planned.scripts.clone(),
            secrets: planned.secrets.clone(),
            empty_caches: self.run.no_cache,
            test: self.run.spec.test.as_ref().map(|test| test.command.clone()),
            compression: self.builds.settings().compression,
            epoch: SystemTime::UNIX_EPOCH + Duration::from_secs(source.epoch),
            writing: self.writing.clone(),
            events: self.events.clone(),
        };
        let built = self
            .builds
            .parts()
            .driver
            .run(job, self.stop.token())
            .await?;
        if self.cancel.is_cancelled() {
            return Err(self.why_stopped());
        }
        Ok(built)
    }
}
