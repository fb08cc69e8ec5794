//! Asking for runs.

use std::time::SystemTime;

use super::definitions::{metadata, millis};
use super::queue::{Line, RunId, Waiting};
use super::record::{Recorded, put};
use super::reproduce::{against, is_check, pin};
use super::spec::Wanted;
use super::{Builds, BuildsError, Invalid, name};
use crate::ledger::{Kind, LedgerError, Write};
use crate::records::{
    Actor, Against, Build, BuildSpec, Cause, Resolved, Run, RunPolicy, SourceSpec, State, Tried,
};

/// How a run is asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// With whose rights: the person's who asks, or the build's owner's.
    pub actor: Actor,
    /// Why.
    pub cause: Cause,
    /// This source instead of the spec's: an upload.
    pub source: Option<SourceSpec>,
    /// This branch, tag or commit instead of the spec's, where the source is a git repository.
    pub revision: Option<String>,
    /// Whether it runs even if the same plan has a result already.
    pub fresh: bool,
    /// Whether its caches begin empty; then it is [fresh](Self::fresh), too. What it leaves there is for the next.
    pub no_cache: bool,
    /// Of a schedule: when it came due, in seconds since 1970. It is noted at the build in the same step; if one no older is
    /// noted there already, no run is made ([`BuildsError::Repeated`]).
    pub scheduled: Option<u64>,
    /// Of images that have moved: what they are now. It is noted at the build in the same step; if it is noted there already,
    /// no run is made ([`BuildsError::Repeated`]).
    pub tried: Option<Tried>,
    /// Written in the same step, all or nothing: the delivery of a webhook, so that it starts one run only. If one of them
    /// is there already, no run is made ([`BuildsError::Repeated`]).
    pub with: Vec<Write>,
}

impl Asked {
    /// Nothing but by whom and why.
    pub fn new(actor: Actor, cause: Cause) -> Self {
        Self {
            actor,
            cause,
            source: None,
            revision: None,
            fresh: false,
            no_cache: false,
            scheduled: None,
            tried: None,
            with: Vec::new(),
        }
    }

    /// Whether somebody asks for the run themselves; else it has the rights of the build's owner.
    fn is_by_a_person(&self) -> bool {
        match self.cause {
            Cause::Asked { .. } | Cause::Again { .. } => true,
            Cause::Webhook { .. } | Cause::ImageMoved { .. } | Cause::Schedule => false,
        }
    }

    /// The spec of the run.
    fn spec(&self, mut spec: BuildSpec) -> Result<BuildSpec, Invalid> {
        if let Some(source) = &self.source {
            spec.source = source.clone();
        }
        if let Some(wanted) = &self.revision {
            match &mut spec.source {
                SourceSpec::Git { revision, .. } => *revision = Some(wanted.clone()),
                SourceSpec::Image { .. } => {
                    let message = "the source is no git repository: it has no other revisions";
                    return Err(Invalid::new("revision", message));
                }
            }
        }
        Ok(spec)
    }
}

impl Builds {
    /// Asks for a run of a build. It is durable when this returns. [`BuildsError::Changed`] if nobody asks for it themselves,
    /// and the build is not the actor's (any more).
    pub async fn start(
        &self,
        namespace: &str,
        build: &str,
        asked: Asked,
        now: SystemTime,
    ) -> Result<Recorded<Run>, BuildsError> {
        loop {
            let found = self.build(namespace, build).await?;
            // Whose rights it has was looked at before, and somebody else may have changed what is built since: nobody's code
            // runs with another's rights.
            if !asked.is_by_a_person() && found.value.owner != asked.actor {
                return Err(super::record::changed(&found.value));
            }
            let spec = asked.spec(found.value.spec.clone())?;
            if asked.scheduled.is_some() && found.value.status.scheduled >= asked.scheduled {
                return Err(BuildsError::Repeated(format!("the schedule of {build}")));
            }
            if asked.tried.is_some() && found.value.status.tried == asked.tried {
                return Err(BuildsError::Repeated(format!("the images of {build}")));
            }
            let tried = self.start_as(found, spec, None, &asked, now);
            if let Some(run) = tried.await? {
                return Ok(run);
            }
        }
    }

    /// Asks for a run of a spec that is no build. Without a name it gets one.
    pub async fn run_once(
        &self,
        namespace: &str,
        name: Option<&str>,
        spec: BuildSpec,
        asked: Asked,
        now: SystemTime,
    ) -> Result<Recorded<Run>, BuildsError> {
        name::check_namespace(namespace)?;
        let name = match name {
            Some(name) => name.to_owned(),
            None => unique("run"),
        };
        name::check(&name, usize::MAX)?;
        let spec = asked.spec(spec)?;
        self.once(namespace, &name, spec, None, &asked, now).await
    }

    /// Asks for what a run did once more: with what the names in its spec stand for now, or (`same`) with the same source,
    /// builder image and time, to see whether the same image comes out; that moves no tag.
    pub async fn again(
        &self,
        namespace: &str,
        run: &str,
        same: bool,
        actor: Actor,
        now: SystemTime,
    ) -> Result<Recorded<Run>, BuildsError> {
        let earlier = self.run(namespace, run).await?.value;
        let against = if same {
            Some(against(&earlier).ok_or_else(|| {
                BuildsError::Busy(format!(
                    "{run} has not succeeded: there is nothing that another run could be held against"
                ))
            })?)
        } else {
            None
        };
        let cause = Cause::Again {
            run: run.to_owned(),
            same,
            by: actor.name.clone(),
        };
        let mut asked = Asked::new(actor, cause);
        asked.fresh = same;
        while let Some(build) = &earlier.build {
            let Some(found) = self.store().find::<Build>(namespace, build).await? else {
                break;
            };
            let spec = earlier.spec.clone();
            let against = against.clone();
            let tried = self.start_as(found, spec, against, &asked, now);
            if let Some(run) = tried.await? {
                return Ok(run);
            }
        }
        let name = unique("run");
        let spec = earlier.spec.clone();
        self.once(namespace, &name, spec, against, &asked, now)
            .await
    }

    /// The next run of a build as it was read; `None` if the build was changed meanwhile.
    async fn start_as(
        &self,
        build: Recorded<Build>,
        spec: BuildSpec,
        against: Option<Against>,
        asked: &Asked,
        now: SystemTime,
    ) -> Result<Option<Recorded<Run>>, BuildsError> {
        let Recorded {
            value: mut build,
            revision,
        } = build;
        let namespace = build.metadata.namespace.clone();
        let wanted = Wanted::parse(&namespace, &spec, self.settings())?;
        let place = self.place(&namespace)?;
        if asked.scheduled.is_some() {
            build.status.scheduled = asked.scheduled;
        }
        if asked.tried.is_some() {
            build.status.tried.clone_from(&asked.tried);
        }
        if asked.scheduled.is_some() || asked.tried.is_some() {
            build.status.missed = None;
        }
        loop {
            build.status.runs += 1;
            let name = format!("{}-{}", build.metadata.name, build.status.runs);
            let mut run = run(&namespace, &name, spec.clone(), asked, now);
            run.build = Some(build.metadata.name.clone());
            pin(&mut run, against.clone());
            let mut writes = vec![put(&run, None)?, put(&build, Some(revision))?];
            writes.extend(asked.with.iter().cloned());
            match self.store().ledger().write(writes).await {
                Ok(()) => return Ok(Some(self.enqueue(run, place, &wanted, now))),
                // A run without a build that was given this name.
                Err(LedgerError::Conflict(key)) if key.kind == Kind::Run => {}
                Err(LedgerError::Conflict(key)) if key.kind == Kind::Build => {
                    place.give_back();
                    return Ok(None);
                }
                Err(error) => return Err(not_made(error, place)),
            }
        }
    }

    async fn once(
        &self,
        namespace: &str,
        name: &str,
        spec: BuildSpec,
        against: Option<Against>,
        asked: &Asked,
        now: SystemTime,
    ) -> Result<Recorded<Run>, BuildsError> {
        let wanted = Wanted::parse(namespace, &spec, self.settings())?;
        let place = self.place(namespace)?;
        let mut run = run(namespace, name, spec, asked, now);
        pin(&mut run, against);
        let mut writes = vec![put(&run, None)?];
        writes.extend(asked.with.iter().cloned());
        match self.store().ledger().write(writes).await {
            Ok(()) => Ok(self.enqueue(run, place, &wanted, now)),
            Err(LedgerError::Conflict(key)) if key.kind == Kind::Run => {
                place.give_back();
                Err(super::record::exists(&run))
            }
            Err(error) => Err(not_made(error, place)),
        }
    }

    /// Keeps a place in the queue for a run that is to be made.
    fn place(&self, namespace: &str) -> Result<Place<'_>, BuildsError> {
        let most = self.settings().namespace_waiting;
        let kept = self.queue().keep(namespace, most);
        kept.map_err(|waiting| BuildsError::QueueFull {
            namespace: namespace.to_owned(),
            waiting,
        })?;
        Ok(Place {
            builds: self,
            namespace: Some(namespace.to_owned()),
        })
    }

    /// Lets a run wait that was just asked for, in its place.
    fn enqueue(
        &self,
        run: Run,
        mut place: Place<'_>,
        wanted: &Wanted,
        now: SystemTime,
    ) -> Recorded<Run> {
        self.figures().asked(&run);
        self.wait_in(&run, now + wanted.queue_timeout, place.namespace.take());
        Recorded {
            value: run,
            revision: 1,
        }
    }

    /// Lets a run wait that is in the ledger.
    pub(super) fn wait(&self, run: &Run, until: SystemTime) {
        self.wait_in(run, until, None);
    }

    fn wait_in(&self, run: &Run, until: SystemTime, place: Option<String>) {
        let id = id(run);
        self.live().open(&id);
        let waiting = Waiting {
            id,
            // Whether something reproduces is nobody's turn: it moves no tag.
            build: run.build.clone().filter(|_| !is_check(run)),
            policy: match run.build {
                Some(_) => run.spec.policy,
                None => RunPolicy::Parallel,
            },
            line: Line::of(&run.spec.source),
            asked: (run.asked, super::runs::number(run)),
            until: millis(until),
        };
        let mut queue = self.queue();
        queue.push(waiting);
        if let Some(namespace) = place {
            queue.give_back(&namespace);
        }
        drop(queue);
        self.wake();
    }
}

/// A place in the queue that is kept for a run which is being made. Who drops it does not know whether the run was: there was no
/// answer, or nobody waited for it. Then the run is looked for, and has its place until then.
struct Place<'a> {
    builds: &'a Builds,
    namespace: Option<String>,
}

impl Place<'_> {
    /// The run was not made.
    fn give_back(mut self) {
        if let Some(namespace) = self.namespace.take() {
            self.builds.queue().give_back(&namespace);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(namespace) = self.namespace.take() {
            self.builds.queue().leave(namespace);
            self.builds.look_for_unheard();
        }
    }
}

/// Why a run was not made, or may have been.
fn not_made(error: LedgerError, place: Place<'_>) -> BuildsError {
    match error {
        LedgerError::Conflict(key) => {
            place.give_back();
            BuildsError::Repeated(format!("{} {}", key.kind.as_str(), key.name))
        }
        LedgerError::Refused(_) => {
            place.give_back();
            error.into()
        }
        LedgerError::Unavailable(_) => error.into(),
    }
}

/// A run's place.
pub(super) fn id(run: &Run) -> RunId {
    RunId {
        namespace: run.metadata.namespace.clone(),
        name: run.metadata.name.clone(),
    }
}

fn run(namespace: &str, name: &str, spec: BuildSpec, asked: &Asked, now: SystemTime) -> Run {
    Run {
        metadata: metadata(namespace, name, now),
        uid: uuid::Uuid::new_v4().simple().to_string(),
        build: None,
        actor: asked.actor.clone(),
        cause: asked.cause.clone(),
        against: None,
        spec,
        asked: millis(now),
        fresh: asked.fresh || asked.no_cache,
        no_cache: asked.no_cache,
        attempts: 0,
        resolved: Resolved::default(),
        state: State::Queued,
        phases: Vec::new(),
        started: None,
        ended: None,
        cancel: None,
        result: None,
    }
}

fn unique(prefix: &str) -> String {
    let id = uuid::Uuid::new_v4().simple().to_string();
    format!("{prefix}-{}", &id[..12])
}
