//! A service of its own for each test.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, SystemTime};

use builder::builds::log::{Entry, LogLine, LogReader};
use builder::builds::{
    Asked, BuildEvent, Builds, Occurrence, Parts, Recorded, SecretContent, Settings,
};
use builder::driver::{Driver, SecretFiles};
use builder::images::{ImageName, Images, Layouts};
use builder::ledger::{Kept, Kind, Ledger};
use builder::records::{Actor, Build, BuildSpec, Cause, Run, SecretUse, SourceSpec, State};
use builder::s2i::IgnoreMode;
use builder::secrets::SecretKeys;
use builder::source::git::{GitFetcher, Mirrors};
use builder::source::{Snapshot, SourceLimits, SourceNetwork, upload};
use oci::{Algorithm, Descriptor, Digest, Manifest, MediaType};
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::driver::TarDriver;
use crate::file_ledger::FileLedger;
use crate::image::{Tar, execution, push};

pub(crate) struct Lab {
    pub(crate) folder: TempDir,
    pub(crate) images: Layouts,
    pub(crate) ledger: Arc<FileLedger>,
    pub(crate) driver: Arc<TarDriver>,
    pub(crate) builds: Builds,
    stop: CancellationToken,
    driving: Option<JoinHandle<()>>,
}

pub(crate) fn actor() -> Actor {
    Actor {
        name: "ann".to_owned(),
        proof: serde_json::Value::Null,
    }
}

pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// An unnamed file with this content.
pub(crate) fn file(content: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    file.rewind().unwrap();
    file
}

pub(crate) fn settings(folder: &Path) -> Settings {
    let scratch = folder.join("scratch");
    std::fs::create_dir_all(&scratch).unwrap();
    let mut settings = Settings::new(folder.join("logs"), scratch);
    settings.hosts = vec!["registry.example".to_owned()];
    settings
}

/// What a service in this folder stands on.
pub(crate) fn parts(
    folder: &Path,
    ledger: Arc<dyn Ledger>,
    images: Arc<dyn Images>,
    driver: Arc<dyn Driver>,
    network: SourceNetwork,
) -> Parts {
    let mirrors = Mirrors::new(folder.join("mirrors"));
    Parts {
        ledger,
        images,
        driver,
        secret_keys: Arc::new(SecretKeys::load_or_create(&folder.join("keys")).unwrap()),
        git: GitFetcher::new(mirrors, network.clone(), SourceLimits::default()),
        network,
    }
}

pub(crate) fn driver(folder: &Path) -> Arc<TarDriver> {
    Arc::new(TarDriver {
        gate: folder.join("gate"),
        full: folder.join("full"),
        runs: AtomicUsize::new(0),
    })
}

/// A spec of an image source.
pub(crate) fn spec(source: &str, words: &str) -> BuildSpec {
    serde_json::from_value(json!({
        "source": {"kind": "image", "reference": source},
        "builder": "shop/builder:1",
        "output": {"image": "shop/app:v1"},
        "env": [{"name": "WORDS", "value": words}],
    }))
    .unwrap()
}

/// Pushes the builder image `shop/builder:1`.
pub(crate) async fn push_builder(images: &Layouts) -> Manifest {
    let layer = Tar::new().file("bin/tool", 0o755, 0, "tool").bytes();
    push(images, "shop/builder:1", &[layer], execution()).await
}

/// A snapshot of files.
pub(crate) fn snapshot(scratch: &Path, files: &[(&str, &str)]) -> Snapshot {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let limits = SourceLimits::default();
    upload::directory(folder.path(), IgnoreMode::Classic, limits, scratch).unwrap()
}

/// Pushes files as a source whose config says nothing of them; its name by digest.
pub(crate) async fn push_source(
    images: &Layouts,
    scratch: &Path,
    files: &[(&str, &str)],
) -> String {
    let snapshot = snapshot(scratch, files);
    push_snapshot(images, &snapshot, MediaType::OCI_EMPTY.as_str(), b"{}").await
}

/// Pushes a source with a config.
pub(crate) async fn push_snapshot(
    images: &Layouts,
    snapshot: &Snapshot,
    config_type: &str,
    config: &[u8],
) -> String {
    let name = ImageName::parse("shop/sources/app", &[]).unwrap();
    let digest = snapshot.digest();
    let tar = snapshot.open().unwrap();
    images
        .put_blob(&actor(), name.repo(), &digest, tar)
        .await
        .unwrap();
    let described = Digest::of(Algorithm::Sha256, config);
    images
        .put_blob(&actor(), name.repo(), &described, file(config))
        .await
        .unwrap();
    let body = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "artifactType": "application/vnd.slipway.source.v1",
        "config": {"mediaType": config_type, "digest": described, "size": config.len()},
        "layers": [Descriptor::new(MediaType::OCI_LAYER, digest, snapshot.size())],
    });
    let manifest = Manifest::parse(
        body.to_string().into_bytes().into(),
        None,
        Algorithm::Sha256,
    );
    let manifest = manifest.unwrap();
    images
        .put_manifest(&actor(), name.repo(), &manifest, &[])
        .await
        .unwrap();
    format!("{}@{}", name.repo(), manifest.digest())
}

/// Somebody asks.
pub(crate) fn asked() -> Asked {
    let by = "ann".to_owned();
    Asked::new(actor(), Cause::Asked { by })
}

/// How long what must come may take. Nothing is measured by it: a suite fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(180);

/// Waits for something.
pub(crate) async fn within<T>(what: &str, done: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, done).await {
        Ok(done) => done,
        Err(_) => tests::fail(format!("not in {PATIENCE:?}: {what}")),
    }
}

/// Looks now and then until there is something.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within(what, looking).await
}

/// What an event of a failure tells.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) run: String,
    pub(crate) build: Option<String>,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) at: u64,
}

impl Lab {
    /// A service at work, with a builder image and nothing else.
    pub(crate) async fn new() -> Self {
        Self::with(|_| (), SourceNetwork::default()).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Settings), network: SourceNetwork) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let driver = driver(folder.path());
        let own: Arc<dyn Driver> = Arc::clone(&driver) as Arc<dyn Driver>;
        Self::of(folder, driver, own, change, network).await
    }

    /// The same with another driver.
    pub(crate) async fn of(
        folder: TempDir,
        driver: Arc<TarDriver>,
        own: Arc<dyn Driver>,
        change: impl FnOnce(&mut Settings),
        network: SourceNetwork,
    ) -> Self {
        let images = Layouts::new(folder.path().join("images"));
        let served: Arc<dyn Images> = Arc::new(images.clone());
        Self::at(folder, (images, served), driver, own, change, network).await
    }

    /// The same with images that are elsewhere, and what serves them.
    pub(crate) async fn at(
        folder: TempDir,
        (images, served): (Layouts, Arc<dyn Images>),
        driver: Arc<TarDriver>,
        own: Arc<dyn Driver>,
        change: impl FnOnce(&mut Settings),
        network: SourceNetwork,
    ) -> Self {
        let ledger = Arc::new(FileLedger::new(&folder.path().join("ledger")));
        let mut settings = settings(folder.path());
        change(&mut settings);
        let parts = parts(
            folder.path(),
            Arc::clone(&ledger) as Arc<dyn Ledger>,
            served,
            own,
            network,
        );
        let mut lab = Self {
            builds: Builds::new(parts, settings),
            folder,
            images,
            ledger,
            driver,
            stop: CancellationToken::new(),
            driving: None,
        };
        push_builder(&lab.images).await;
        lab.begin();
        lab
    }

    pub(crate) fn begin(&mut self) {
        self.stop = CancellationToken::new();
        let (builds, stop) = (self.builds.clone(), self.stop.clone());
        self.driving = Some(tokio::spawn(async move { builds.drive(stop).await }));
    }

    /// Ends the service as SIGTERM does.
    pub(crate) async fn end(&mut self) {
        self.stop.cancel();
        if let Some(driving) = self.driving.take() {
            driving.await.unwrap();
        }
    }

    /// Another process upon the same files.
    pub(crate) async fn restart(&mut self) {
        self.end().await;
        let parts = parts(
            self.folder.path(),
            Arc::clone(&self.ledger) as Arc<dyn Ledger>,
            Arc::new(self.images.clone()),
            Arc::clone(&self.driver) as Arc<dyn Driver>,
            SourceNetwork::default(),
        );
        self.builds = Builds::new(parts, settings(self.folder.path()));
        self.begin();
    }

    pub(crate) async fn source(&self, files: &[(&str, &str)]) -> String {
        push_source(&self.images, self.folder.path(), files).await
    }

    pub(crate) async fn build(&self, spec: BuildSpec) -> Recorded<Build> {
        let made = self.builds.create("shop", "app", spec, actor(), now());
        made.await.unwrap()
    }

    pub(crate) async fn start(&self) -> Run {
        let started = self.builds.start("shop", "app", asked(), now());
        started.await.unwrap().value
    }

    /// A run as it has ended, with all that it said.
    pub(crate) async fn ended(&self, run: &Run) -> (Run, Vec<LogLine>) {
        let name = &run.metadata.name;
        let mut follow = self.builds.follow("shop", name, 0).await.unwrap();
        let mut lines = Vec::new();
        let follow = async {
            while let Some(more) = follow.next().await.unwrap() {
                lines.extend(more);
            }
        };
        within(&format!("the end of {name}"), follow).await;
        let run = self.builds.run("shop", name).await.unwrap().value;
        assert!(run.state.has_ended(), "{run:#?}");
        (run, lines)
    }

    pub(crate) async fn run(&self) -> Run {
        let run = self.start().await;
        self.ended(&run).await.0
    }

    /// Waits until a run says a line.
    pub(crate) async fn says(&self, run: &Run, text: &str) {
        let name = &run.metadata.name;
        let mut follow = self.builds.follow("shop", name, 0).await.unwrap();
        let heard = async {
            while let Some(lines) = follow.next().await.unwrap() {
                if said(&lines).contains(text) {
                    return true;
                }
            }
            false
        };
        let is_said = within(&format!("{name} says {text}"), heard).await;
        assert!(is_said, "it never said {text}");
    }

    pub(crate) fn open_gate(&self) {
        std::fs::write(&self.driver.gate, "").unwrap();
    }

    pub(crate) async fn events(&self) -> Vec<Kept> {
        let listed = self.ledger.list(Kind::Event, "shop", "", None, 100);
        listed.await.unwrap()
    }

    /// The events of runs that failed, the only ones that there are.
    pub(crate) async fn failures(&self) -> Vec<Failed> {
        let events = self.events().await.into_iter();
        let failures = events.map(|event| {
            let event: BuildEvent = serde_json::from_slice(&event.body).unwrap();
            let Occurrence::Failed { reason, message } = event.what else {
                tests::fail(format!("{event:?}"));
            };
            Failed {
                run: event.run,
                build: event.build,
                reason: reason.to_string(),
                message,
                at: event.at,
            }
        });
        failures.collect()
    }

    pub(crate) async fn tag(&self, name: &str) -> Option<Manifest> {
        let name = ImageName::parse(name, &[]).unwrap();
        let actor = actor();
        let found = self.images.manifest(&actor, name.repo(), name.reference());
        found.await.unwrap()
    }

    pub(crate) async fn secret(&self, name: &str, used_for: SecretUse, files: &[(&str, &str)]) {
        let files = secret_files(files);
        let content = SecretContent { used_for, files };
        let put = self.builds.put_secret("shop", name, &content, now());
        put.await.unwrap();
    }

    pub(crate) async fn change_source(&self, files: &[(&str, &str)]) {
        let reference = self.source(files).await;
        let mut build = self.builds.build("shop", "app").await.unwrap().value;
        build.spec.source = SourceSpec::Image { reference };
        let replaced = self
            .builds
            .replace("shop", "app", build.spec, actor(), None, now());
        replaced.await.unwrap();
    }
}

pub(crate) fn secret_files(files: &[(&str, &str)]) -> SecretFiles {
    let files = files.iter().map(|(name, content)| {
        let content = Zeroizing::new(content.as_bytes().to_vec());
        ((*name).to_owned(), content)
    });
    SecretFiles(files.collect())
}

/// All lines of a log, as far as it is written.
pub(crate) fn all(log: &mut LogReader) -> Vec<LogLine> {
    let mut lines = Vec::new();
    loop {
        let more = log.read().unwrap();
        if more.is_empty() {
            return lines;
        }
        lines.extend(more);
    }
}

/// All texts of lines.
pub(crate) fn said(lines: &[LogLine]) -> String {
    let texts = lines.iter().map(|line| match &line.entry {
        Entry::Out(text) | Entry::Err(text) | Entry::Note(text) => text.clone(),
        Entry::Phase(phase) => format!("{phase:?}"),
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// Why a run failed.
pub(crate) fn reason(run: &Run) -> String {
    match &run.state {
        State::Failed { reason, message } => {
            assert!(!message.is_empty());
            reason.to_string()
        }
        other => format!("{other:?}"),
    }
}
