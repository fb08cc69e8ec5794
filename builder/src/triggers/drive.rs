//! The looks: at what is due, and at what has moved.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio_util::sync::CancellationToken;

use super::image::Looked;
use super::moves::{Moved, Moves};
use super::warned::Warned;
use super::{Owners, Schedule};
use crate::builds::{Asked, Builds, BuildsError, Recorded};
use crate::hooks::{MOST_KEPT, prune};
use crate::records::{Build, Cause};

/// How often it is looked what is due; schedules know no less than a minute.
const LOOK: Duration = Duration::from_secs(15);

/// How long tags that move one after the other are waited for.
const SETTLE: Duration = Duration::from_millis(500);

/// How often all builds are looked at, for moves that nobody told of.
const SWEEP: Duration = Duration::from_secs(300);

/// How often old records of deliveries are removed.
const PRUNE: Duration = Duration::from_secs(3600);

/// Starts runs by time and by moved images.
#[derive(Clone, Debug)]
pub struct Triggers {
    builds: Builds,
    owners: Arc<dyn Owners>,
    warned: Arc<Warned>,
}

impl Triggers {
    /// For these builds, whose owners are asked for.
    pub fn new(builds: Builds, owners: Arc<dyn Owners>) -> Self {
        let warned = Arc::default();
        Self {
            builds,
            owners,
            warned,
        }
    }

    /// Looks until `stop`: at once, at moved tags when they are told, at everything now and then. One server's may run beside
    /// another's.
    pub async fn drive(&self, moves: &Moves, stop: CancellationToken) {
        let mut later = BTreeSet::new();
        let (mut swept, mut pruned) = (None::<Instant>, None::<Instant>);
        while !stop.is_cancelled() {
            let now = SystemTime::now();
            if let Err(error) = self.schedules(now).await {
                tracing::warn!(%error, "what is due was not looked at");
            }
            let mut tags = moves.take();
            if swept.is_none_or(|swept| swept.elapsed() >= SWEEP) {
                tags = Moved::Any;
                swept = Some(Instant::now());
            }
            if let Err(error) = self.images(&tags, &mut later, now).await {
                tracing::warn!(%error, "whether images have moved was not looked at");
                swept = None;
            }
            if pruned.is_none_or(|pruned| pruned.elapsed() >= PRUNE) {
                pruned = Some(Instant::now());
                if let Err(error) = prune(self.builds.ledger(), now, MOST_KEPT).await {
                    tracing::warn!(%error, "old records of deliveries were not removed");
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK) => {}
                // What fails is tried again with the next look, not with the next move.
                () = moves.wait(), if swept.is_some() => tokio::time::sleep(SETTLE).await,
            }
        }
    }

    /// Starts a run of each build whose schedule has come due since it was last noted there.
    pub(super) async fn schedules(&self, now: SystemTime) -> Result<(), BuildsError> {
        let mut after = None;
        while let Some(builds) = self.builds.triggered(&mut after).await? {
            for build in builds {
                if let Err(error) = self.schedule(&build, now).await {
                    self.note(&build, &error.to_string(), now).await?;
                }
            }
        }
        Ok(())
    }

    async fn schedule(&self, build: &Recorded<Build>, now: SystemTime) -> Result<(), BuildsError> {
        let Build {
            metadata,
            owner,
            spec,
            status,
        } = &build.value;
        let (namespace, name) = (&*metadata.namespace, &*metadata.name);
        let schedule = spec
            .triggers
            .schedule
            .as_deref()
            .map(str::parse::<Schedule>);
        let Some(Ok(schedule)) = schedule else {
            return Ok(());
        };
        let Some(noted) = status.scheduled else {
            // Saved by a server that did not note it.
            return self.builds.begin_schedule(build, now).await;
        };
        let since = SystemTime::UNIX_EPOCH + Duration::from_secs(noted);
        let Some(due) = schedule.due(since, now) else {
            return Ok(());
        };
        if let Err(error) = self.owners.may_build(owner, namespace, now).await {
            let why = format!("the build's owner cannot build: {error}");
            return self.note(build, &why, now).await;
        }
        let mut asked = Asked::new(owner.clone(), Cause::Schedule);
        let due = due
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        asked.scheduled = Some(due.as_secs());
        match self.builds.start(namespace, name, asked, now).await {
            // Another server was faster, or it was removed.
            Ok(_) | Err(BuildsError::Repeated(_) | BuildsError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Says why a build that is due was not started: in the log, and where people look at the build.
    pub(super) async fn note(
        &self,
        build: &Recorded<Build>,
        why: &str,
        now: SystemTime,
    ) -> Result<(), BuildsError> {
        let place = &build.value.metadata;
        if self.warned.is_due(&place.namespace, &place.name, why, now) {
            tracing::warn!(
                namespace = place.namespace,
                build = place.name,
                error = why,
                "it is due and was not started"
            );
        }
        self.builds.note_missed(build, why, now).await
    }

    /// Looks at the builds that stand on what has moved, and again at those that could not be started when they were last
    /// looked at.
    pub(super) async fn images(
        &self,
        moved: &Moved,
        later: &mut BTreeSet<(String, String)>,
        now: SystemTime,
    ) -> Result<Vec<String>, BuildsError> {
        let mut started = Vec::new();
        if later.is_empty() && *moved == Moved::default() {
            return Ok(started);
        }
        let mut waiting = BTreeSet::new();
        let mut after = None;
        while let Some(builds) = self.builds.triggered(&mut after).await? {
            for build in builds
                .iter()
                .filter(|build| build.value.spec.triggers.image)
            {
                let place = &build.value.metadata;
                let place = (place.namespace.clone(), place.name.clone());
                if !later.contains(&place) {
                    match self.is_moved(build, moved).await {
                        Ok(true) => {}
                        Ok(false) => continue,
                        Err(error @ BuildsError::Unavailable(_)) => return Err(error),
                        // Its spec or an entry of the catalogue cannot be read: that is nothing to the others.
                        Err(error) => {
                            let why = error.to_string();
                            if self.warned.is_due(&place.0, &place.1, &why, now) {
                                tracing::warn!(namespace = place.0, build = place.1, %error, "what it stands on is not known");
                            }
                            continue;
                        }
                    }
                }
                match self.look(build, now).await {
                    Ok(Looked::Later) => drop(waiting.insert(place)),
                    Ok(Looked::Fine) => {}
                    Ok(Looked::Started(run)) => {
                        tracing::info!(
                            namespace = place.0,
                            run,
                            "an image has moved: a run was started"
                        );
                        started.push(run);
                    }
                    Err(error) => {
                        if self
                            .warned
                            .is_due(&place.0, &place.1, &error.to_string(), now)
                        {
                            tracing::warn!(namespace = place.0, build = place.1, %error, "it was not looked whether an image has moved");
                        }
                        waiting.insert(place);
                    }
                }
            }
        }
        // Those that are gone, or that nothing starts any more, wait for nothing.
        *later = waiting;
        Ok(started)
    }

    async fn is_moved(&self, build: &Recorded<Build>, moved: &Moved) -> Result<bool, BuildsError> {
        if *moved == Moved::Any {
            return Ok(true);
        }
        let namespace = &build.value.metadata.namespace;
        let standing = self.builds.stands_on(namespace, &build.value.spec).await?;
        Ok(standing.iter().any(|standing| {
            let name = &standing.name;
            let tag = name.reference().tag().cloned();
            tag.is_some_and(|tag| moved.has(name.repo(), &tag))
        }))
    }

    pub(super) fn builds(&self) -> &Builds {
        &self.builds
    }

    pub(super) fn owners(&self) -> &dyn Owners {
        &*self.owners
    }
}
