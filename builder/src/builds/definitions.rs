//! Builds: made, changed, listed, removed.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::brief::Brief;
use super::record::{Page, PageOf, Recorded};
use super::runs::prefix;
use super::{Builds, BuildsError, Invalid, Settings, Timeout, name, spec};
use crate::hooks::{forget, taken_by};
use crate::ledger::Kind;
use crate::records::{Actor, Build, BuildSpec, Metadata, Run, Status};

/// Longest name of a build: runs are named `<build>-<number>`.
const MAX_NAME: usize = 50;

/// Whether a server that nothing is configured of would make the build.
pub(crate) fn check(namespace: &str, name: &str, spec: &BuildSpec) -> Result<(), Invalid> {
    name::check(name, MAX_NAME)?;
    name::check_namespace(namespace)?;
    let mut settings = Settings::new(PathBuf::new(), PathBuf::new());
    settings.run_timeout = Timeout::of(Duration::MAX);
    spec::Wanted::parse(namespace, spec, &settings).map(drop)
}

impl Builds {
    /// Makes a build. Runs that no person asks for will have the owner's rights.
    pub async fn create(
        &self,
        namespace: &str,
        name: &str,
        spec: BuildSpec,
        owner: Actor,
        now: SystemTime,
    ) -> Result<Recorded<Build>, BuildsError> {
        name::check(name, MAX_NAME)?;
        self.check(namespace, &spec)?;
        let status = Status {
            scheduled: begun(&spec, now),
            ..Status::default()
        };
        let build = Build {
            metadata: metadata(namespace, name, now),
            owner,
            spec,
            status,
        };
        let made = self.store().make(build, self.settings().quota.builds);
        let made = made.await?;
        self.queue().know(namespace);
        Ok(made)
    }

    /// Whether a spec can be a build's of the namespace; what [`Builds::create`] asks first.
    pub fn check(&self, namespace: &str, spec: &BuildSpec) -> Result<(), Invalid> {
        name::check_namespace(namespace)?;
        spec::Wanted::parse(namespace, spec, self.settings()).map(drop)
    }

    /// Changes what is built, and whose rights runs have that no person asks for: those of who changed it last. With a
    /// revision, only if it still is at that one ([`BuildsError::Changed`]). Runs that are asked for already stay as they are.
    pub async fn replace(
        &self,
        namespace: &str,
        name: &str,
        spec: BuildSpec,
        owner: Actor,
        revision: Option<u64>,
        now: SystemTime,
    ) -> Result<Recorded<Build>, BuildsError> {
        self.check(namespace, &spec)?;
        loop {
            let mut found = self.build(namespace, name).await?;
            if found.value.spec.triggers.schedule != spec.triggers.schedule {
                found.value.status.scheduled = begun(&spec, now);
            }
            found.value.status.missed = None;
            found.value.spec = spec.clone();
            found.value.owner = owner.clone();
            match revision {
                None => match self.store().replace(found).await {
                    Err(BuildsError::Changed { .. }) => {}
                    other => return other,
                },
                Some(revision) => {
                    found.revision = revision;
                    return self.store().replace(found).await;
                }
            }
        }
    }

    /// A build.
    pub async fn build(&self, namespace: &str, name: &str) -> Result<Recorded<Build>, BuildsError> {
        self.store().get(namespace, name).await
    }

    /// The builds of a namespace.
    pub async fn builds(&self, namespace: &str, page: &PageOf) -> Result<Page<Build>, BuildsError> {
        self.store().page(namespace, page).await
    }

    /// Namespaces that have builds, in order, behind `after`.
    pub async fn namespaces(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, BuildsError> {
        let ledger = self.store().ledger();
        Ok(ledger.namespaces(Kind::Build, after, limit).await?)
    }

    /// Removes a build, with its runs, their logs and what is remembered of its webhooks' calls; images stay. [`BuildsError::Busy`] if one of its runs waits or is
    /// at work.
    pub async fn remove(&self, namespace: &str, name: &str) -> Result<(), BuildsError> {
        let (taken, runs) = loop {
            // First: a run that is asked for from here on changes the build, and then all this begins anew.
            let found = match self.store().get::<Build>(namespace, name).await {
                Err(BuildsError::Unreadable { .. }) => None,
                found => Some(found?),
            };
            // Listed before the build goes: from then on a new one of its name may have its own.
            let taken = taken_by(self.store().ledger(), namespace, name).await?;
            let mut runs = Vec::new();
            let look = |run: Brief| {
                runs.extend(run.is_of(name).then_some((run.name, run.uid)));
            };
            self.store().look(namespace, &prefix(name), look).await?;
            self.is_idle(namespace, name).await?;
            // The build first: without it none of these can become more, and they can be removed at leisure.
            let removed = match found {
                Some(found) => self.store().remove(&found).await,
                None => self.store().remove_unread::<Build>(namespace, name).await,
            };
            match removed {
                Err(BuildsError::Changed { .. }) => {}
                removed => break removed.map(|()| (taken, runs))?,
            }
        };
        forget(self.store().ledger(), &taken).await?;
        for (run, uid) in runs {
            let run = match self.store().find::<Run>(namespace, &run).await {
                Err(BuildsError::Unreadable { .. }) => None,
                found => found?.filter(|run| run.value.uid == uid),
            };
            if let Some(run) = run {
                self.remove_ended(&run).await?;
            }
        }
        Ok(())
    }

    /// [`BuildsError::Busy`] if one of a build's runs has not ended.
    async fn is_idle(&self, namespace: &str, name: &str) -> Result<(), BuildsError> {
        let open = self.newest(
            namespace,
            Some(name),
            1,
            |run| !run.has_ended(),
            |run| !run.state.has_ended(),
        );
        match open.await?.first() {
            None => Ok(()),
            Some(open) => Err(BuildsError::Busy(format!(
                "its run {} has not ended: cancel it first",
                open.value.metadata.name
            ))),
        }
    }
}

/// From when on a new schedule counts: what it would have been due for before is not missed, and what is due before the first
/// look is.
fn begun(spec: &BuildSpec, now: SystemTime) -> Option<u64> {
    let schedule = spec.triggers.schedule.as_ref();
    schedule.map(|_| seconds(now))
}

pub(super) fn metadata(namespace: &str, name: &str, now: SystemTime) -> Metadata {
    Metadata {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        created: seconds(now),
    }
}

pub(super) fn seconds(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

pub(super) fn millis(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
