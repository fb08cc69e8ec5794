//! One stage: its root, and its steps upon it.

use std::path::PathBuf;

use super::artifacts::Artifacts;
use super::caches::{Begin, Cache};
use super::work::Work;
use super::{Failure, failure, process};
use crate::overlay::Mount as Mounted;
use crate::plan::{Content, Mount, Place, Run, Stage, StageName, Step};
use crate::records::FailureReason;
use crate::rootfs::{Bounds, Files, FilesError, Owner, Rootfs, StoredLayer};
use crate::s2i::{ContainerPath, Origin, Reason, User};
use crate::sandbox::Root;
use crate::scratch;
use crate::tree::TreePath;

/// A stage that has run.
pub(super) struct Done<'m> {
    pub(super) rootfs: Rootfs<'m>,
    pub(super) artifacts: Option<Artifacts>,
}

impl<'m> Work<'m> {
    /// Runs a stage's steps upon its layers. `before` is the stage that it copies from.
    pub(super) fn stage(
        &mut self,
        stage: &Stage,
        layers: Vec<StoredLayer>,
        before: Option<&Rootfs<'_>>,
    ) -> Result<Done<'m>, Failure> {
        let suffix = match stage.name {
            StageName::Artifacts => "artifacts",
            StageName::Assemble => "assemble",
            StageName::Runtime => "runtime",
        };
        let name = format!("{}-{suffix}", self.job.id);
        let store = &self.machine.layers;
        let rootfs = Rootfs::prepare(store, &name, layers, &mountpoints(stage));
        let rootfs = rootfs.map_err(|error| failure::layers(stage.name, &error))?;
        self.users(stage, &files(&rootfs)?)?;
        let mut artifacts = None;
        for step in &stage.steps {
            if self.cancel.is_cancelled() {
                return Err(failure::cancelled());
            }
            match step {
                Step::Run(run) => {
                    // Not before: a source may bring what an image's label promises.
                    script(stage.name, &files(&rootfs)?, run)?;
                    artifacts = self.program(&rootfs, run)?.or(artifacts);
                }
                Step::Place(place) => self.place(&files(&rootfs)?, place)?,
                Step::Copy(copy) => {
                    let from = before.ok_or_else(|| failure::internal("no stage to copy from"))?;
                    let (from, to) = (files(from)?, files(&rootfs)?);
                    let owner = to.root_user();
                    let copied = owner.and_then(|owner| {
                        to.copy(&from, &copy.from, &copy.into, owner, &self.bounds())
                    });
                    copied.map_err(|error| {
                        let what = format!("{} of the built image", copy.from);
                        failure::files(Reason::FetchRuntimeArtifactsFailed, &what, &error)
                    })?;
                }
                Step::Remove(paths) => {
                    let files = files(&rootfs)?;
                    for path in paths {
                        files.remove(path).map_err(|error| {
                            let what = format!("removing {path}");
                            failure::files(Reason::GenericS2IBuildFailed, &what, &error)
                        })?;
                    }
                }
            }
        }
        Ok(Done { rootfs, artifacts })
    }

    /// Whether all who own or run something in a stage are in its image, and whom the result starts as.
    fn users(&self, stage: &Stage, files: &Files) -> Result<(), Failure> {
        let users = stage.steps.iter().filter_map(|step| match step {
            Step::Place(place) => Some(&place.owner),
            Step::Run(run) => Some(&run.user),
            Step::Copy(_) | Step::Remove(_) => None,
        });
        let recipe = &self.job.plan.recipe;
        let is_last = recipe
            .stages
            .last()
            .is_some_and(|last| last.name == stage.name);
        let own = is_last.then(|| User::parse(recipe.config.user()));
        let own = own.transpose();
        let own = own.map_err(|error| failure::internal(&error.to_string()))?;
        for user in users.chain(&own) {
            let found = files.owner(user);
            found.map_err(|error| failure::user(stage.name, &error))?;
        }
        Ok(())
    }

    fn program(&mut self, rootfs: &Rootfs<'_>, run: &Run) -> Result<Option<Artifacts>, Failure> {
        let caches = self.caches(run)?;
        let paths: Vec<PathBuf> = caches.iter().map(Cache::files).collect();
        let mut process = process::planned(run, &self.job.secrets, &paths)?;
        self.confine(&mut process)?;
        let keeping = |error| failure::machine("keeping what save-artifacts gives", &error);
        let mut raw = None;
        if run.output_is_artifacts {
            let folder = self.machine.settings.scratch();
            raw = Some(scratch::unnamed(&folder).map_err(keeping)?);
        }
        let kept = raw.as_ref().map(std::fs::File::try_clone).transpose();
        let kept = kept.map_err(keeping)?;
        let (root, mount) = root(rootfs)?;
        self.mark(&caches)?;
        let outcome = self.execute(&root, &process, raw);
        drop(mount);
        let program = run.argv.first().map_or("", String::as_str);
        let program = program.rsplit('/').next().unwrap_or(program);
        let reason = FailureReason::from(run.reason);
        self.give_back(rootfs, caches);
        let outcome = outcome.map_err(|error| failure::sandbox(reason.clone(), program, &error))?;
        if !outcome.succeeded() {
            return Err(self.blame(reason, program, &outcome));
        }
        let Some(kept) = kept else { return Ok(None) };
        if outcome.usage.raw_dropped > 0 {
            let limit = self.machine.settings.artifacts;
            let text = format!("{program} gave more than {limit} bytes");
            return Err(failure::new(reason, text));
        }
        Artifacts::of(kept).map_err(keeping)
    }

    /// The caches that a program uses, in the order of its mounts. They are taken in one order for all runs, lest two wait for
    /// each other.
    fn caches(&self, run: &Run) -> Result<Vec<Cache>, Failure> {
        let mut wanted: Vec<_> = run
            .mounts
            .iter()
            .filter_map(|mount| match mount {
                Mount::Cache { id, from, .. } => Some((id, from.as_deref())),
                Mount::Secret { .. } | Mount::Injection { .. } => None,
            })
            .enumerate()
            .collect();
        wanted.sort_unstable_by_key(|(_, (id, _))| *id);
        if let Some(two) = wanted.windows(2).find(|two| two[0].1.0 == two[1].1.0) {
            let id = two[0].1.0;
            // It would wait for itself.
            let text = format!("cache {id} is mounted twice");
            return Err(failure::new(run.reason, text));
        }
        let most = self.limits.disk.unwrap_or(u64::MAX);
        let mut taken = Vec::new();
        for (index, (id, from)) in wanted {
            let namespace = &self.job.namespace;
            let waits = || {
                self.note(format!(
                    "waiting for another run to be done with cache {id}"
                ));
            };
            let caches = &self.machine.caches;
            let begin = match from {
                _ if self.job.empty_caches => Begin::Empty,
                Some(from) => Begin::AsCopyOf(from, most),
                None => Begin::AsLeft,
            };
            let cache = caches.take(namespace, id, begin, waits, &self.cancel);
            let broken = |error| failure::machine(&format!("cache {id}"), &error);
            let cache = cache.map_err(broken)?.ok_or_else(failure::cancelled)?;
            taken.push((index, cache));
        }
        taken.sort_unstable_by_key(|(index, _)| *index);
        Ok(taken.into_iter().map(|(_, cache)| cache).collect())
    }

    fn place(&self, files: &Files, place: &Place) -> Result<(), Failure> {
        let at = &place.at;
        let (reason, what) = match &place.content {
            Content::Source { .. } => (Reason::FetchSourceFailed, "the source".to_owned()),
            Content::Script(_) => (
                Reason::InstallScriptsFailed,
                format!("script {}", at.name()),
            ),
            Content::Artifacts => (Reason::GenericS2IBuildFailed, "artifacts".to_owned()),
            Content::Injection { name, .. } => {
                (Reason::GenericS2IBuildFailed, format!("{name} at {at}"))
            }
        };
        let failed = |error: FilesError| failure::files(reason, &what, &error);
        let broken = |error| failure::machine(&what, &error);
        let owner = files.owner(&place.owner).map_err(failed)?;
        match &place.content {
            Content::Source { without } => {
                let without: Result<Vec<_>, _> = without
                    .iter()
                    .map(|path| TreePath::parse(path.as_bytes()))
                    .collect();
                let without = without.map_err(|e| failure::new(reason, format!("{what}: {e}")))?;
                let archive = self.source.open().map_err(broken)?;
                let placed = files.unpack(at, archive, owner, &without, &self.bounds());
                placed.map_err(failed)
            }
            Content::Script(origin) => {
                let content = self.script(origin)?;
                let written = files.write(at, &content[..], 0o755, owner, &self.bounds());
                written.map_err(failed)
            }
            Content::Artifacts => self.artifacts_at(files, at, owner),
            Content::Injection { name, .. } => {
                let secret = self.job.secrets.get(name).ok_or_else(|| {
                    failure::new(
                        reason,
                        format!("there is no {name} to inject in this namespace"),
                    )
                })?;
                for (file, content) in &secret.0 {
                    let file = process::file_name(name, file, &reason.into())?;
                    let at = at
                        .join(file)
                        .map_err(|e| failure::new(reason, e.to_string()))?;
                    let written = files.write(&at, &content[..], 0o644, owner, &self.bounds());
                    written.map_err(failed)?;
                }
                Ok(())
            }
        }
    }

    /// What cannot be unpacked is none: an old image must not keep its successor from being built.
    fn artifacts_at(&self, files: &Files, at: &ContainerPath, owner: Owner) -> Result<(), Failure> {
        let Some(artifacts) = &self.artifacts else {
            return Ok(());
        };
        let reason = Reason::GenericS2IBuildFailed;
        let what = "the previous image's artifacts";
        let archive = artifacts
            .open()
            .map_err(|error| failure::machine(what, &error))?;
        match files.unpack(at, archive, owner, &[], &self.bounds()) {
            Err(error @ (FilesError::Refused(_) | FilesError::TooLarge(_))) => {
                self.note(format!(
                    "nothing is taken over from the previous image, this is a clean build: {error}"
                ));
                let removed = files.remove(at);
                removed.map_err(|error| failure::files(reason, what, &error))
            }
            other => other.map_err(|error| failure::files(reason, what, &error)),
        }
    }

    fn script(&self, origin: &Origin) -> Result<Vec<u8>, Failure> {
        let refuse = |text: String| failure::new(Reason::InstallScriptsFailed, text);
        match origin {
            Origin::Source(path) => self.source.script(path).map_err(refuse),
            Origin::Fetched(digest) => self
                .job
                .scripts
                .get(digest)
                .cloned()
                .ok_or_else(|| refuse(format!("the script {digest} was not fetched"))),
            Origin::Image(path) => Err(refuse(format!("{path} is in the image already"))),
        }
    }

    fn bounds(&self) -> Bounds<'_> {
        let limits = &self.machine.settings.unpacking;
        Bounds {
            bytes: limits.bytes,
            entries: limits.entries,
            cancelled: &self.cancel,
            written: self.writing.ours(),
        }
    }
}

/// Whether the script that runs is there.
fn script(stage: StageName, files: &Files, run: &Run) -> Result<(), Failure> {
    let Some(path) = run.argv.first().filter(|path| path.starts_with('/')) else {
        return Ok(());
    };
    match files.has(path) {
        Ok(true) => Ok(()),
        Ok(false) => Err(failure::no_script(stage, path)),
        Err(error) => Err(failure::files(
            Reason::InstallScriptsFailed,
            "looking for the script",
            &error,
        )),
    }
}

/// Where a stage's runs have something mounted on a directory.
fn mountpoints(stage: &Stage) -> Vec<TreePath> {
    let runs = stage.steps.iter().filter_map(|step| match step {
        Step::Run(run) => Some(run),
        _ => None,
    });
    let caches = runs
        .flat_map(|run| &run.mounts)
        .filter_map(|mount| match mount {
            Mount::Cache { at, .. } => Some(at.as_str()),
            Mount::Secret { .. } | Mount::Injection { .. } => None,
        });
    let all = ["/proc", "/sys", "/dev"].into_iter().chain(caches);
    // A container's path is always one of a tree, unless a name in it is too long; then mounting fails with better words.
    all.filter_map(|path| TreePath::parse(path.as_bytes()).ok())
        .collect()
}

fn files(rootfs: &Rootfs<'_>) -> Result<Files, Failure> {
    let files = rootfs.files();
    files.map_err(|error| failure::machine("mounting the build's files", &error))
}

/// A root for the sandbox: mounted where its processes are, so that it ends with them; if its layers are too many for one
/// page of options, on the host, for as long as the mount lives.
pub(super) fn root(rootfs: &Rootfs<'_>) -> Result<(Root, Option<Mounted>), Failure> {
    let broken = |error| failure::machine("mounting the build's files", &error);
    let folders = rootfs.folders().map_err(broken)?;
    let root = Root::Overlay {
        lower: folders.lower,
        upper: folders.upper,
        work: folders.work,
    };
    if root.fits() {
        return Ok((root, None));
    }
    let mut mount = rootfs.mount().map_err(broken)?;
    mount.attach(&rootfs.mountpoint()).map_err(broken)?;
    Ok((Root::Folder(rootfs.mountpoint()), Some(mount)))
}
