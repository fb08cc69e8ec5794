//! The server is killed at every step of a run: before and after each call of the ledger, the registry and the driver. What the
//! ledger says afterwards is true, and the run comes to its end.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use builder::builds::{BuildEvent, Builds, Occurrence, RunsOf};
use builder::driver::{Built, Driver, Failure, Job};
use builder::images::{ImageName, Images, ImagesError, Layouts};
use builder::ledger::{Brief, Kept, Key, Kind, Ledger, LedgerError, Write};
use builder::records::{Build, Run, State};
use builder::source::SourceNetwork;
use oci::Digest;
use tokio_util::sync::CancellationToken;

use crate::file_ledger::FileLedger;
use crate::lab::{
    actor, all, asked, driver, eventually, now, parts, push_builder, push_source, said, settings,
    spec,
};
use crate::watched::{Call, Watch, Watched};

const FOLDER: &str = "SLIPWAY_KILL_FOLDER";
const STEP: &str = "SLIPWAY_KILL_STEP";

/// Kills this process at a step.
#[derive(Debug)]
struct Killer {
    at: usize,
    done: AtomicUsize,
}

impl Killer {
    fn step(&self) {
        if self.done.fetch_add(1, Ordering::SeqCst) + 1 == self.at {
            let own = rustix::process::getpid();
            rustix::process::kill_process(own, rustix::process::Signal::KILL).unwrap();
            std::thread::park();
        }
    }
}

/// Something with a step before and one after each call.
struct Stepped<T: ?Sized>(Arc<T>, Arc<Killer>);

impl<T: ?Sized> fmt::Debug for Stepped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.1.fmt(f)
    }
}

macro_rules! stepped {
    ($self:ident, $call:expr) => {{
        $self.1.step();
        let done = $call.await;
        $self.1.step();
        done
    }};
}

#[async_trait]
impl Ledger for Stepped<FileLedger> {
    async fn get(&self, key: &Key) -> Result<Option<Kept>, LedgerError> {
        self.0.get(key).await
    }

    async fn write(&self, writes: Vec<Write>) -> Result<(), LedgerError> {
        stepped!(self, self.0.write(writes))
    }

    async fn list(
        &self,
        kind: Kind,
        namespace: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Kept>, LedgerError> {
        self.0.list(kind, namespace, prefix, after, limit).await
    }

    async fn briefs(
        &self,
        kind: Kind,
        namespace: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Brief>, LedgerError> {
        self.0.briefs(kind, namespace, prefix, after, limit).await
    }

    async fn open(
        &self,
        kind: Kind,
        after: Option<(&str, &str)>,
        limit: usize,
    ) -> Result<Vec<Kept>, LedgerError> {
        self.0.open(kind, after, limit).await
    }

    async fn namespaces(
        &self,
        kind: Kind,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, LedgerError> {
        self.0.namespaces(kind, after, limit).await
    }

    async fn count(&self, kind: Kind, namespace: &str) -> Result<usize, LedgerError> {
        self.0.count(kind, namespace).await
    }
}

#[async_trait]
impl Watch for Killer {
    async fn before(&self, _call: Call<'_>) -> Result<(), ImagesError> {
        self.step();
        Ok(())
    }

    async fn after(&self, _call: Call<'_>) -> Result<(), ImagesError> {
        self.step();
        Ok(())
    }
}

#[async_trait]
impl Driver for Stepped<dyn Driver> {
    async fn run(&self, job: Job, cancel: &CancellationToken) -> Result<Built, Failure> {
        stepped!(self, self.0.run(job, cancel))
    }
}

/// Not a test of its own: the server that is killed.
#[tokio::test]
#[ignore = "started by the_ledger_says_the_truth_after_a_kill_at_any_step"]
async fn server() {
    let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    let at = std::env::var(STEP).unwrap();
    let killer = Arc::new(Killer {
        at: at.parse().unwrap(),
        done: AtomicUsize::new(0),
    });
    let ledger = Arc::new(FileLedger::new(&folder.join("ledger")));
    let images = Watched {
        images: Layouts::new(folder.join("images")),
        watch: Arc::clone(&killer),
    };
    let own: Arc<dyn Driver> = driver(&folder);
    let parts = parts(
        &folder,
        Arc::new(Stepped(ledger, Arc::clone(&killer))),
        Arc::new(images),
        Arc::new(Stepped(own, killer)),
        SourceNetwork::default(),
    );
    let builds = Builds::new(parts, settings(&folder));
    let stop = CancellationToken::new();
    let driving = tokio::spawn({
        let (builds, stop) = (builds.clone(), stop.clone());
        async move { builds.drive(stop).await }
    });
    let run = builds.start("shop", "app", asked(), now()).await.unwrap();
    let name = run.value.metadata.name;
    let mut follow = builds.follow("shop", &name, 0).await.unwrap();
    while follow.next().await.unwrap().is_some() {}
    stop.cancel();
    driving.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_says_the_truth_after_a_kill_at_any_step() {
    let mut kills = 0;
    let mut published = 0;
    for step in 1..1000 {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path()).await;
        let ended = Command::new(std::env::current_exe().unwrap())
            .args(["kill::server", "--exact", "--ignored", "--nocapture"])
            .env(FOLDER, folder.path())
            .env(STEP, step.to_string())
            .output()
            .unwrap();
        if ended.status.success() {
            break;
        }
        kills += 1;
        published += usize::from(check(folder.path(), step).await);
    }
    assert!(kills > 30, "only {kills} steps");
    assert!(
        published > 1,
        "some were killed between the tag and the record"
    );
    println!("{kills} kills, {published} of them after publishing");
}

async fn prepare(folder: &Path) {
    let images = Layouts::new(folder.join("images"));
    push_builder(&images).await;
    let source = push_source(&images, folder, &[("app.py", "print()")]).await;
    let builds = service(folder);
    let mut wanted = spec(&source, "hello");
    wanted.output.tags = vec!["{run}".to_owned()];
    let made = builds.create("shop", "app", wanted, actor(), now()).await;
    made.unwrap();
}

fn service(folder: &Path) -> Builds {
    let parts = parts(
        folder,
        Arc::new(FileLedger::new(&folder.join("ledger"))),
        Arc::new(Layouts::new(folder.join("images"))),
        driver(folder),
        SourceNetwork::default(),
    );
    Builds::new(parts, settings(folder))
}

/// What is there after the kill, and after another server has taken it up. Whether the tag was there before that.
async fn check(folder: &Path, step: usize) -> bool {
    let tag = tag(folder, "v1").await;
    let builds = service(folder);
    let before = builds.runs("shop", &RunsOf::default()).await.unwrap().items;
    assert!(before.len() <= 1);
    if let Some(digest) = tag {
        let run = &before[0].value;
        let result = run
            .result
            .as_ref()
            .unwrap_or_else(|| unreachable!("{step}: {run:?}"));
        assert_eq!(result.image, format!("shop/app@{digest}"), "step {step}");
    }
    let ended = CancellationToken::new();
    let driving = tokio::spawn({
        let (builds, ended) = (builds.clone(), ended.clone());
        async move { builds.drive(ended).await }
    });
    for run in &before {
        ends_well(folder, &builds, &run.value, step).await;
    }
    ended.cancel();
    driving.await.unwrap();
    tag.is_some()
}

async fn ends_well(folder: &Path, builds: &Builds, before: &Run, step: usize) {
    let name = &before.metadata.name;
    // It may be taken up only now: then there is nothing to follow yet.
    let run = eventually("the end", async || {
        let run = builds.run("shop", name).await.unwrap().value;
        Some(run).filter(|run| run.state.has_ended())
    })
    .await;
    assert_eq!(run.state, State::Succeeded, "step {step}: {run:#?}");
    let digest = tag(folder, "v1").await.unwrap();
    assert_eq!(tag(folder, "app-1").await, Some(digest));
    assert_eq!(run.result.unwrap().image, format!("shop/app@{digest}"));
    let build: Build = builds.build("shop", "app").await.unwrap().value;
    assert_eq!(build.status.succeeded.as_ref(), Some(name), "step {step}");
    assert_eq!(build.status.image, Some(digest.to_string()));

    let ledger = FileLedger::new(&folder.join("ledger"));
    let events = ledger
        .list(Kind::Event, "shop", "", None, 10)
        .await
        .unwrap();
    assert_eq!(events.len(), 1, "step {step}");
    let event: BuildEvent = serde_json::from_slice(&events[0].body).unwrap();
    let told = matches!(&event.what, Occurrence::Succeeded { digest: told, .. } if *told == digest.to_string());
    assert!(told, "step {step}: {event:?}");

    let images = Layouts::new(folder.join("images"));
    let app = ImageName::parse("shop/app", &[]).unwrap();
    let reference = digest.into();
    let manifest = images.manifest(&actor(), app.repo(), &reference).await;
    for blob in manifest.unwrap().unwrap().required_blobs() {
        let held = images.blob(&actor(), app.repo(), &blob.digest).await;
        assert!(held.unwrap().is_some(), "step {step}");
    }
    let mut log = builds.log("shop", name).await.unwrap();
    let lines = all(&mut log);
    if before.attempts > 0 && run.attempts > 1 {
        assert!(said(&lines).contains("begins anew"), "step {step}");
    }
    assert!(!lines.is_empty(), "step {step}");
}

async fn tag(folder: &Path, tag: &str) -> Option<Digest> {
    let images = Layouts::new(folder.join("images"));
    let name = ImageName::parse(&format!("shop/app:{tag}"), &[]).unwrap();
    let found = images
        .manifest(&actor(), name.repo(), name.reference())
        .await;
    found.unwrap().map(|manifest| manifest.digest())
}
