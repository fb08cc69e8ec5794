//! A driver of its own for each test, and jobs for it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Seek as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use builder::Compression;
use builder::driver::runc::{Runc, Settings};
use builder::driver::{Built, Driver, Event, Failure, Job, Phase, SecretFiles, Writing};
use builder::images::{BaseImage, ImageName, Images, Layouts, Platform};
use builder::plan::{Commit, Image, Output, Request, Secret, Source};
use builder::records::Actor;
use builder::s2i::{ContainerPath, IgnoreMode};
use builder::sandbox;
use builder::source::{Snapshot, SourceLimits, upload};
use oci::{Digest, RepoName};
use serde_json::Value;
use tempfile::TempDir;
use tests::remains::{control_groups, entries, forget_control_groups, mounts};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::image::{busybox, execution, push, scripts};

/// When every source was committed.
pub(crate) const EPOCH: u64 = 1_600_000_000;

pub(crate) struct Lab {
    pub(crate) driver: Runc,
    pub(crate) images: Layouts,
    pub(crate) folder: TempDir,
    cgroup: String,
    jobs: AtomicUsize,
}

/// How a run ended and what it said.
pub(crate) struct Ran {
    pub(crate) result: Result<Built, Failure>,
    pub(crate) events: Vec<Event>,
}

/// What a test changes of a job.
pub(crate) struct Asked {
    pub(crate) request: Request,
    pub(crate) source: fs::File,
    pub(crate) bases: BTreeMap<Digest, RepoName>,
    pub(crate) secrets: BTreeMap<String, SecretFiles>,
    pub(crate) scripts: BTreeMap<Digest, Vec<u8>>,
    pub(crate) empty_caches: bool,
    pub(crate) test: Option<Vec<String>>,
    pub(crate) epoch: SystemTime,
}

pub(crate) fn actor() -> Actor {
    Actor {
        name: "ann".to_owned(),
        proof: Value::Null,
    }
}

pub(crate) fn settings(folder: &Path, cgroup: &str) -> Settings {
    tests::toolbox::needs_sandbox();
    let mut sandbox = sandbox::Settings::root(folder.join("sandbox")).unwrap();
    sandbox.cgroup = Path::new("/").join(cgroup);
    Settings::new(folder.join("driver"), sandbox)
}

impl Lab {
    pub(crate) async fn new() -> Self {
        Self::with(|_| ()).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let folder = tempfile::Builder::new()
            .prefix("slipway-driver-")
            .tempdir()
            .unwrap();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let cgroup = format!("slipway-driver-{}-{number}", std::process::id());
        let mut settings = settings(folder.path(), &cgroup);
        change(&mut settings);
        let (driver, recovered) = Runc::open(settings).await.unwrap();
        assert_eq!(recovered.runs, 0);
        let images = Layouts::new(folder.path().join("images"));
        Self::of(driver, images, folder, cgroup)
    }

    /// A driver in a folder that one had before.
    pub(crate) async fn at(folder: TempDir, cgroup: String) -> Self {
        let (driver, _) = Runc::open(settings(folder.path(), &cgroup)).await.unwrap();
        let images = Layouts::new(folder.path().join("images"));
        Self::of(driver, images, folder, cgroup)
    }

    pub(crate) fn of(driver: Runc, images: Layouts, folder: TempDir, cgroup: String) -> Self {
        Self {
            driver,
            images,
            folder,
            cgroup,
            jobs: AtomicUsize::new(0),
        }
    }

    /// What runs left.
    pub(crate) fn left(&self) -> Vec<String> {
        leftovers(self.folder.path(), &self.cgroup)
    }

    /// Pushes an image of busybox and these scripts, and layers upon it.
    pub(crate) async fn builder(&self, name: &str, of: &[(&str, &str)], more: &[Vec<u8>]) -> Image {
        self.image(name, of, more, execution()).await
    }

    /// The plainest builder image: one script.
    pub(crate) async fn assembling(&self, assemble: &str) -> Image {
        let scripts = [("assemble", assemble), ("run", "true")];
        self.builder("shop/builder:1", &scripts, &[]).await
    }

    pub(crate) async fn image(
        &self,
        name: &str,
        of: &[(&str, &str)],
        more: &[Vec<u8>],
        config: Value,
    ) -> Image {
        let mut layers = vec![busybox(), scripts(of)];
        layers.extend_from_slice(more);
        push(&self.images, name, &layers, config).await;
        self.resolve(name).await
    }

    pub(crate) async fn resolve(&self, name: &str) -> Image {
        let parsed = ImageName::parse(name, &[]).unwrap();
        let image = BaseImage::resolve(
            &self.images,
            &actor(),
            &parsed,
            &Platform::of_this_machine(),
        )
        .await;
        image.unwrap().plan_image(name)
    }

    /// Files (`*` in front: executable; `path -> target`: a link) as a source.
    pub(crate) fn source(&self, files: &[(&str, &str)]) -> Snapshot {
        let folder = tempfile::tempdir_in(self.folder.path()).unwrap();
        for (path, content) in files {
            if let Some((path, target)) = path.split_once(" -> ") {
                symlink(target, folder.path().join(path)).unwrap();
                continue;
            }
            let mode = if path.starts_with('*') { 0o755 } else { 0o644 };
            let path = folder.path().join(path.trim_start_matches('*'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let limits = SourceLimits::default();
        upload::directory(
            folder.path(),
            IgnoreMode::Classic,
            limits,
            self.folder.path(),
        )
        .unwrap()
    }

    /// The plainest job: a builder image and a source.
    pub(crate) fn asked(builder: &Image, snapshot: &Snapshot) -> Asked {
        asked_of(builder, snapshot.source(), snapshot.open().unwrap())
    }

    pub(crate) async fn run(&self, asked: Asked) -> Ran {
        self.run_until(asked, &CancellationToken::new()).await
    }

    pub(crate) async fn run_until(&self, asked: Asked, cancel: &CancellationToken) -> Ran {
        let ran = self.run_one(asked, cancel).await;
        self.nothing_is_left();
        ran
    }

    /// One of several at a time.
    pub(crate) async fn run_beside(&self, asked: Asked) -> Ran {
        self.run_one(asked, &CancellationToken::new()).await
    }

    /// One that is to run out of its time, and not before it has come so far: a busy machine needs more of it until then.
    pub(crate) async fn run_out_of_time(
        &self,
        mut seconds: u64,
        asked: impl Fn() -> Asked,
        has_come_so_far: impl Fn(&Ran) -> bool,
    ) -> Ran {
        loop {
            let mut asked = asked();
            asked.request.limits.seconds = Some(seconds);
            let ran = self.run_beside(asked).await;
            let was_too_slow =
                ran.failure().reason.as_str() == "TimedOut" && !has_come_so_far(&ran);
            if !was_too_slow || seconds > 100 {
                return ran;
            }
            seconds *= 4;
        }
    }

    async fn run_one(&self, asked: Asked, cancel: &CancellationToken) -> Ran {
        let number = self.jobs.fetch_add(1, Ordering::Relaxed);
        let (job, mut events) = asked.job(format!("run-{number}"), Arc::new(self.images.clone()));
        let collect = async {
            let mut all = Vec::new();
            while let Some(event) = events.recv().await {
                all.push(event);
            }
            all
        };
        let (result, events) = tokio::join!(self.driver.run(job, cancel), collect);
        Ran { result, events }
    }

    /// No folder, mount or cgroup of any run.
    pub(crate) fn nothing_is_left(&self) {
        assert_eq!(self.left(), Vec::<String>::new());
    }
}

/// A job with this builder image and source.
pub(crate) fn asked_of(builder: &Image, mut source: Source, file: fs::File) -> Asked {
    source.commit = Some(Commit {
        id: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        reference: "main".to_owned(),
        ..Commit::default()
    });
    let output = Output {
        tag: "shop/cart:v1".to_owned(),
        ..Output::default()
    };
    let mut asked = Asked {
        request: Request::new(builder.clone(), source, output),
        source: file,
        bases: BTreeMap::new(),
        secrets: BTreeMap::new(),
        scripts: BTreeMap::new(),
        empty_caches: false,
        test: None,
        epoch: UNIX_EPOCH + Duration::from_secs(EPOCH),
    };
    asked.base(builder);
    asked
}

/// What of runs is on the disk, mounted, or a process.
pub(crate) fn leftovers(folder: &Path, cgroup: &str) -> Vec<String> {
    let mut found = Vec::new();
    let list = |path: &Path| {
        let named = |name: String| path.join(name).display().to_string();
        entries(path).into_iter().map(named).collect::<Vec<_>>()
    };
    found.extend(list(&folder.join("driver/scratch")));
    found.extend(list(&folder.join("sandbox/runs")));
    for store in list(&folder.join("driver/layers")) {
        for part in ["runs", "incoming", "trash"] {
            found.extend(list(&Path::new(&store).join(part)));
        }
    }
    found.extend(mounts(folder));
    found.extend(control_groups(cgroup));
    found
}

impl Drop for Lab {
    fn drop(&mut self) {
        forget_control_groups(&self.cgroup);
    }
}

impl Asked {
    /// Says where an image is.
    pub(crate) fn base(&mut self, image: &Image) {
        let name = ImageName::parse(&image.reference, &[]).unwrap();
        self.bases.insert(image.digest, name.repo().clone());
    }

    /// A secret of one file, at its usual place.
    pub(crate) fn secret(&mut self, name: &str, file: &str, content: &[u8]) {
        self.request.secrets.push(Secret {
            name: name.to_owned(),
            revision: None,
            at: ContainerPath::parse(&format!("/run/secrets/{name}")).unwrap(),
        });
        self.content(name, file, content);
    }

    /// What a secret has: one file.
    pub(crate) fn content(&mut self, name: &str, file: &str, content: &[u8]) {
        let files = BTreeMap::from([(file.to_owned(), Zeroizing::new(content.to_vec()))]);
        self.secrets.insert(name.to_owned(), SecretFiles(files));
    }

    pub(crate) fn job(self, id: String, images: Arc<dyn Images>) -> (Job, mpsc::Receiver<Event>) {
        let (plan, _) = self.request.plan().unwrap();
        let (events, receiver) = mpsc::channel(16);
        let job = Job {
            id,
            namespace: "shop".to_owned(),
            plan,
            images,
            actor: actor(),
            bases: self.bases,
            source: self.source,
            scripts: self.scripts,
            secrets: self.secrets,
            empty_caches: self.empty_caches,
            test: self.test,
            compression: Compression::Gzip,
            epoch: self.epoch,
            writing: Writing::new(CancellationToken::new()),
            events,
        };
        (job, receiver)
    }
}

impl Ran {
    pub(crate) fn built(&mut self) -> &mut Built {
        let (result, events) = (&mut self.result, &self.events);
        result
            .as_mut()
            .unwrap_or_else(|failure| fail(&format!("{failure:?}: {events:#?}")))
    }

    pub(crate) fn failure(&self) -> &Failure {
        let failure = self.result.as_ref().err();
        failure.unwrap_or_else(|| fail(&format!("it succeeded: {:#?}", self.events)))
    }

    pub(crate) fn phases(&self) -> Vec<Phase> {
        let phase = |event: &Event| match event {
            Event::Phase(phase) => Some(*phase),
            _ => None,
        };
        self.events.iter().filter_map(phase).collect()
    }

    /// All lines and notes.
    pub(crate) fn text(&self) -> String {
        let text = |event: &Event| match event {
            Event::Line(line) => Some(line.text.clone()),
            Event::Note(text) => Some(text.clone()),
            Event::Phase(_) => None,
        };
        self.events
            .iter()
            .filter_map(text)
            .collect::<Vec<_>>()
            .join("\n")
    }
}

#[expect(clippy::panic, reason = "a test may fail")]
fn fail(why: &str) -> ! {
    panic!("{why}")
}

/// An unnamed file with this content.
pub(crate) fn file(content: &[u8]) -> fs::File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    file.rewind().unwrap();
    file
}
