//! One run, from a job to what is built.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime};

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::super::{Built, Event, Failure, Job, Phase, Used, Writing};
use super::artifacts::Artifacts;
use super::leaks::Patience;
use super::secrets::Secrets;
use super::source::Source;
use super::stage::Done;
use super::{Machine, failure};
use crate::images::{BaseImage, Platform};
use crate::plan::{IfItFails, Stage, StageName};
use crate::records::FailureReason;
use crate::room;
use crate::rootfs::{Rootfs, StoredLayer};
use crate::s2i::Reason;
use crate::sandbox::{self, Limits, Outcome, Output, Process, Raw, Root, SandboxError};

/// A run under way.
pub(super) struct Work<'m> {
    pub(super) machine: &'m Machine,
    pub(super) job: Job,
    pub(super) source: Source,
    pub(super) secrets: Secrets,
    /// Words of the secrets that others have too.
    pub(super) known: BTreeSet<Vec<u8>>,
    /// What the stage [`StageName::Artifacts`] gave.
    pub(super) artifacts: Option<Artifacts>,
    /// Ends whatever the run is at: somebody cancelled it, its time is over, or the others need the disk.
    pub(super) cancel: CancellationToken,
    /// Somebody cancelled it.
    unwanted: CancellationToken,
    /// The clock goes no longer than the run.
    _clock: DropGuard,
    /// What the whole run may use up.
    pub(super) limits: Limits,
    runtime: Handle,
    begun: Instant,
    /// How little of the disk was free while the last program ran, in bytes.
    least_free: u64,
    /// How often the last program was refused a process or thread.
    refusals: u64,
    pub(super) used: Used,
    pub(super) writing: Writing,
    pub(super) patience: Patience,
}

/// With less free on the disk than this, a program's error is put down to that: too little to write anything of weight, and
/// more than what goes unseen between two looks.
const FULL: u64 = 16 << 20;
/// Between two looks at the disk while a program runs.
const LOOK: Duration = Duration::from_millis(100);

/// A stage's image, with its layers on the disk.
struct Ready {
    stage: Stage,
    image: BaseImage,
    layers: Vec<StoredLayer>,
}

impl<'m> Work<'m> {
    pub(super) fn begin(
        machine: &'m Machine,
        job: Job,
        runtime: Handle,
        unwanted: CancellationToken,
    ) -> Result<Self, Failure> {
        let digest = &job.plan.recipe.source;
        let file = job.source.try_clone();
        let source = file.and_then(|file| Source::check(file, digest, &unwanted));
        let source = source.map_err(|error| failure::machine("reading the source", &error))?;
        let source = source.ok_or_else(|| {
            if unwanted.is_cancelled() {
                return failure::cancelled();
            }
            let text = format!("the source is another than the plan's, which is {digest}");
            failure::new(Reason::FetchSourceFailed, text)
        })?;
        let (plan, most) = (&job.plan.limits, &machine.settings.limits);
        let limits = Limits {
            memory: least(plan.memory_bytes, most.memory),
            millicpus: least(plan.cpu_millis, most.millicpus),
            processes: least(plan.pids, most.processes),
            disk: least(plan.disk_bytes, most.disk),
            wall: least(plan.seconds.map(Duration::from_secs), most.wall),
        };
        let cancel = unwanted.child_token();
        let writing = job.writing.clone();
        writing.limit(limits.disk);
        machine.writers.enter(&writing);
        let stopped = writing.cancel().clone();
        runtime.spawn(end(limits.wall, stopped, cancel.clone()));
        Ok(Self {
            machine,
            writing,
            patience: Patience::default(),
            source,
            secrets: Secrets::of(&job.plan, &job.secrets, &BTreeSet::new())?,
            known: BTreeSet::new(),
            artifacts: None,
            _clock: cancel.clone().drop_guard(),
            cancel,
            unwanted,
            runtime,
            limits,
            begun: Instant::now(),
            least_free: u64::MAX,
            refusals: 0,
            used: Used::default(),
            job,
        })
    }

    /// Runs the plan. Whatever fails after somebody cancelled, or when time was over, failed for that; but a program without end that
    /// lacks processes, for those.
    pub(super) fn run(mut self) -> Result<Built, Failure> {
        self.all().map_err(|failure| {
            if let Some(evicted) = self.writing.evicted() {
                return evicted;
            }
            if self.cancel.is_cancelled() && self.refusals > 0 {
                return failure::endless(self.refusals, self.limits.processes);
            }
            if self.unwanted.is_cancelled() {
                return failure::cancelled();
            }
            if self.cancel.is_cancelled() {
                return failure::timed_out(self.limits.wall);
            }
            // Some have words of the build in them.
            Failure {
                message: self.secrets.mask(failure.message),
                ..failure
            }
        })
    }

    fn all(&mut self) -> Result<Built, Failure> {
        self.tell(Event::Phase(Phase::Prepare));
        for text in self.secrets.unsearched() {
            self.note(text);
        }
        let mut stages = Vec::new();
        for stage in self.job.plan.recipe.stages.clone() {
            match self.prepare(&stage) {
                Ok(ready) => stages.push(ready),
                Err(failure) => self.bear(&stage, failure)?,
            }
        }
        let mut before: Option<Rootfs<'m>> = None;
        let mut last = None;
        for ready in stages {
            let Ready {
                stage,
                image,
                layers,
            } = ready;
            self.tell(Event::Phase(phase(stage.name)));
            match self.stage(&stage, layers, before.as_ref()) {
                Ok(Done { rootfs, artifacts }) => {
                    if stage.name == StageName::Artifacts {
                        self.artifacts = artifacts;
                        discard(rootfs)?;
                        continue;
                    }
                    last = Some(image);
                    // The one before gave what this one took of it.
                    if let Some(done) = before.replace(rootfs) {
                        discard(done)?;
                    }
                }
                Err(failure) => self.bear(&stage, failure)?,
            }
        }
        let (Some(rootfs), Some(image)) = (before, last) else {
            return Err(failure::internal(
                "the plan has no stage that gives a result",
            ));
        };
        let built = self.finish(&rootfs, &image)?;
        discard(rootfs)?;
        Ok(built)
    }

    /// The base image's layers.
    fn prepare(&self, stage: &Stage) -> Result<Ready, Failure> {
        let Job {
            images,
            actor,
            bases,
            ..
        } = &self.job;
        let digest = stage.base.digest;
        let repo = bases.get(&digest).ok_or_else(|| {
            failure::internal(&format!("nobody said in which repository {digest} is"))
        })?;
        let platform = Platform::of_this_machine();
        let image = BaseImage::by_digest(&**images, actor, repo, digest, &platform);
        let image = self.runtime.block_on(image);
        let image = image.map_err(|error| failure::image(stage.name, &error))?;
        let layers = self.machine.layers.layers_for(
            self.writing.ours(),
            &image.blobs(images, actor, &self.runtime),
            &self.machine.settings.unpacking,
            SystemTime::now(),
            &self.cancel,
        );
        let layers = layers.map_err(|error| failure::layers(stage.name, &error))?;
        let unpacked = layers
            .iter()
            .map(|layer| (*layer.diff_id(), layer.unpacked()));
        self.writing.stands_on(unpacked);
        Ok(Ready {
            stage: stage.clone(),
            image,
            layers,
        })
    }

    /// A failure that the plan can bear becomes a note.
    fn bear(&mut self, stage: &Stage, failure: Failure) -> Result<(), Failure> {
        if stage.if_it_fails == IfItFails::Stop || self.cancel.is_cancelled() {
            return Err(failure);
        }
        self.note(format!(
            "nothing is taken over from the previous image, this is a clean build: {failure}"
        ));
        Ok(())
    }

    /// Gives a process what is left of the run's limits, and the network that the plan allows.
    pub(super) fn confine(&self, process: &mut Process) -> Result<(), Failure> {
        let left = |wall: Duration| wall.saturating_sub(self.begun.elapsed());
        let wall = self.limits.wall.map(left);
        if wall.is_some_and(|wall| wall.is_zero()) {
            return Err(failure::timed_out(self.limits.wall));
        }
        let left = |disk: u64| disk.saturating_sub(self.used.disk);
        process.limits = Limits {
            disk: self.limits.disk.map(left),
            wall,
            ..self.limits
        };
        process.egress = self.machine.settings.egress(self.job.plan.recipe.network);
        // The test, too, reaches servers that only they vouch for.
        process
            .certificates
            .clone_from(&self.machine.settings.certificates);
        Ok(())
    }

    /// Runs a process to its end, with its lines as events.
    pub(super) fn execute(
        &mut self,
        root: &Root,
        process: &Process,
        raw: Option<std::fs::File>,
    ) -> Result<Outcome, SandboxError> {
        let (lines, mut said) = mpsc::channel(64);
        let settings = &self.machine.settings;
        // It is in no folder of the process's.
        let mut growing = self.writing.ours().growing(raw.as_ref());
        let raw = raw.map(|file| Raw {
            file,
            bytes: settings.artifacts,
        });
        let bytes = settings.output;
        let output = Output { lines, bytes, raw };
        let (events, secrets, unwanted) = (&self.job.events, &self.secrets, &self.unwanted);
        let forward = async {
            while let Some(mut line) = said.recv().await {
                if sandbox::is_javas_note(&line.text) {
                    continue;
                }
                line.text = secrets.mask(line.text);
                tokio::select! {
                    // Nobody listens any more: the run goes on without.
                    _ = events.send(Event::Line(line)) => {}
                    // Who cancelled may not listen, and the rest must be read for the process to end.
                    () = unwanted.cancelled() => {}
                }
            }
        };
        self.writing.begins(&process.gauge);
        let run = self.machine.host.run(root, process, output, &self.cancel);
        let folder = &settings.folder;
        // What cannot be asked is not held against anybody.
        let now_free = || room::free(folder).unwrap_or(u64::MAX);
        let mut free = u64::MAX;
        let outcome = self.runtime.block_on(async {
            let run = async { tokio::join!(run, forward).0 };
            let mut run = std::pin::pin!(run);
            loop {
                free = free.min(now_free());
                growing.look();
                tokio::select! {
                    outcome = &mut run => break outcome,
                    () = tokio::time::sleep(LOOK) => {}
                }
            }
        });
        growing.look();
        self.least_free = free.min(now_free());
        if let Ok(outcome) = &outcome {
            self.used.disk += outcome.usage.disk;
        }
        self.writing.ended(self.used.disk);
        let outcome = outcome?;
        self.refusals = if outcome.succeeded() {
            0
        } else {
            outcome.usage.process_refusals
        };
        self.used.cpu += outcome.usage.cpu;
        self.used.memory = self.used.memory.max(outcome.usage.memory);
        for text in failure::endured(&outcome, &self.limits) {
            self.note(text);
        }
        for path in &outcome.left_behind {
            self.note(format!(
                "{} was made to mount something on, and is in the image because something was put there",
                sandbox::plain(path.as_os_str().as_encoded_bytes())
            ));
        }
        Ok(outcome)
    }

    /// Why a program that ran did not succeed; `program` is its file name.
    pub(super) fn blame(&self, reason: FailureReason, program: &str, outcome: &Outcome) -> Failure {
        match outcome.reason {
            sandbox::Reason::Failed if self.least_free < FULL => {
                failure::full_disk(program, self.least_free)
            }
            _ => failure::program(reason, program, outcome, &self.limits),
        }
    }

    pub(super) fn note(&self, text: impl Into<String>) {
        let text = sandbox::plain(text.into().as_bytes());
        self.tell(Event::Note(self.secrets.mask(text)));
    }

    pub(super) fn tell(&self, event: Event) {
        let (events, unwanted) = (&self.job.events, &self.unwanted);
        self.runtime.block_on(async {
            tokio::select! {
                _ = events.send(event) => {}
                () = unwanted.cancelled() => {}
            }
        });
    }
}

/// Ends a run's work when its time is over, or when all of the run is stopped.
async fn end(wall: Option<Duration>, stopped: CancellationToken, cancel: CancellationToken) {
    let over = async {
        match wall {
            Some(wall) => tokio::time::sleep(wall).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = over => {}
        () = stopped.cancelled() => {}
        () = cancel.cancelled() => {}
    }
    cancel.cancel();
}

fn phase(stage: StageName) -> Phase {
    match stage {
        StageName::Artifacts => Phase::SaveArtifacts,
        StageName::Assemble => Phase::Assemble,
        StageName::Runtime => Phase::AssembleRuntime,
    }
}

fn discard(rootfs: Rootfs<'_>) -> Result<(), Failure> {
    let removed = rootfs.remove();
    removed.map_err(|error| failure::machine("removing the build's files", &error))
}

/// The smaller of what is said.
fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
