//! A build stands on an image whose tag points elsewhere now.

use std::time::{Duration, SystemTime};

use super::chain::next;
use super::drive::Triggers;
use crate::builds::{Asked, BuildsError, Recorded, Standing};
use crate::images::ImageName;
use crate::records::{Build, Cause, Run, Tried};

/// At least so long after a run that a moved image caused comes the next one of the same build.
pub(super) const REST: Duration = Duration::from_secs(60);

/// What a look at a build came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Looked {
    /// There is nothing to do.
    Fine,
    /// A run of this name was started.
    Started(String),
    /// There is, but not now.
    Later,
}

impl Triggers {
    /// Compares what a build stands on with what its newest success was built with, and starts a run if it is another.
    pub(super) async fn look(
        &self,
        build: &Recorded<Build>,
        now: SystemTime,
    ) -> Result<Looked, BuildsError> {
        let Build {
            metadata,
            owner,
            status,
            ..
        } = &build.value;
        let namespace = &*metadata.namespace;
        // Without a success there is nothing that it could have moved from.
        let Some(success) = &status.succeeded else {
            return Ok(Looked::Fine);
        };
        let success = match self.builds().run(namespace, success).await {
            Ok(run) => run.value,
            Err(BuildsError::NotFound { .. } | BuildsError::Unreadable { .. }) => {
                return Ok(Looked::Fine);
            }
            Err(error) => return Err(error),
        };
        let (moved, tried) = self.moved(build, &success).await?;
        let Some(cause) = moved else {
            // One that is where it was again is tried when it moves the next time.
            if tried != status.tried {
                self.builds().note_tried(build, tried).await?;
            }
            return Ok(Looked::Fine);
        };
        if !self.is_rested(namespace, &metadata.name, now).await? {
            return Ok(Looked::Later);
        }
        if let Err(error) = self.owners().may_build(owner, namespace, now).await {
            let why = format!("the build's owner cannot build: {error}");
            self.note(build, &why, now).await?;
            return Ok(Looked::Fine);
        }
        let mut asked = Asked::new(owner.clone(), cause);
        // One try for what they are now, also of two servers: a run that fails is not tried again before one of them moves.
        asked.tried = tried;
        let started = self.builds().start(namespace, &metadata.name, asked, now);
        match started.await {
            Ok(run) => Ok(Looked::Started(run.value.metadata.name)),
            Err(BuildsError::Repeated(_) | BuildsError::NotFound { .. }) => Ok(Looked::Fine),
            Err(BuildsError::QueueFull { .. }) => Ok(Looked::Later),
            Err(error) => Err(error),
        }
    }

    /// The first move since a success that no run was started for, and what the images that have moved are now.
    async fn moved(
        &self,
        build: &Recorded<Build>,
        success: &Run,
    ) -> Result<(Option<Cause>, Option<Tried>), BuildsError> {
        let Build {
            metadata,
            owner,
            spec,
            status,
        } = &build.value;
        let namespace = &*metadata.namespace;
        let before = status.tried.clone().unwrap_or_default();
        let mut tried = Tried::default();
        let mut moved = None;
        for (standing, from) in pairs(&self.builds().stands_on(namespace, spec).await?, success) {
            let (before, tried) = if standing.is_runtime {
                (&before.runtime, &mut tried.runtime)
            } else {
                (&before.builder, &mut tried.builder)
            };
            let to = match self.builds().now(&standing, owner).await {
                Ok(to) => to,
                Err(error) => {
                    let build = &metadata.name;
                    tracing::info!(namespace, build, image = %standing.name, %error, "whether the image has moved is not known");
                    tried.clone_from(before);
                    continue;
                }
            };
            if from.digest() == to.digest() {
                continue;
            }
            let now = Some(to.to_string());
            if *before == now {
                *tried = now;
                continue;
            }
            let made_by = self.made_by(&to).await?;
            let this = format!("{namespace}/{}", metadata.name);
            let Some(chain) = next(&this, &made_by) else {
                tracing::debug!(build = this, image = %to, ?made_by, "not built anew: its own result led to the image");
                continue;
            };
            *tried = now;
            moved.get_or_insert_with(|| Cause::ImageMoved {
                image: standing.name.to_string(),
                from: from.to_string(),
                to: to.to_string(),
                chain,
            });
        }
        Ok((moved, (tried != Tried::default()).then_some(tried)))
    }

    /// The chain of the run that made an image, itself at its end; empty if no run of a build here has.
    async fn made_by(&self, image: &ImageName) -> Result<Vec<String>, BuildsError> {
        let made = self.builds().run_that_made(image).await?;
        Ok(made.as_ref().map(chain).unwrap_or_default())
    }

    /// Whether the build's last such run is long enough ago, and none of its runs waits or is at work: that one may be
    /// built with the new image anyway.
    async fn is_rested(
        &self,
        namespace: &str,
        build: &str,
        now: SystemTime,
    ) -> Result<bool, BuildsError> {
        let is_rested = |run: &Run| {
            let is_such = matches!(run.cause, Cause::ImageMoved { .. });
            let age = now
                .duration_since(run.metadata.created())
                .unwrap_or_default();
            run.state.has_ended() && (!is_such || age >= REST)
        };
        let old = now.checked_sub(REST).unwrap_or(SystemTime::UNIX_EPOCH);
        self.builds()
            .holds_for_all(namespace, build, old, is_rested)
            .await
    }
}

/// The chain of a run, itself at its end.
fn chain(run: &Run) -> Vec<String> {
    let Some(build) = &run.build else {
        return Vec::new();
    };
    let mut chain = match &run.cause {
        Cause::ImageMoved { chain, .. } => chain.clone(),
        _ => Vec::new(),
    };
    chain.push(format!("{}/{build}", run.metadata.namespace));
    chain
}

/// What a build stands on, each with what the same name meant when it last succeeded. A name that was changed since has not
/// moved, and one with a digest never does.
fn pairs(standing: &[Standing], success: &Run) -> Vec<(Standing, ImageName)> {
    let earlier = |standing: &Standing| {
        let resolved = &success.resolved;
        let (kept, then) = if standing.is_runtime {
            let then = success.spec.runtime.as_ref().map(|runtime| &runtime.image);
            (&resolved.runtime, then)
        } else {
            (&resolved.builder, Some(&success.spec.builder))
        };
        let same = then == Some(&standing.written) && standing.name.digest().is_none();
        let kept = kept.as_deref().filter(|_| same)?;
        ImageName::parse(kept, &[]).ok()
    };
    let pairs = standing
        .iter()
        .filter_map(|one| Some((one.clone(), earlier(one)?)));
    pairs.collect()
}
