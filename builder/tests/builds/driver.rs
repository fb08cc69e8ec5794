//! A driver that runs nothing and makes a layer all the same: a file that names the source and the variable `WORDS`.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use builder::Compression;
use builder::driver::{Built, Driver, Event, Failure, Job, Phase, Used, Writing};
use builder::images::{BaseImage, Platform};
use builder::layer::Layer;
use builder::plan::{Mount, Step};
use builder::records::OwnReason;
use builder::s2i::Reason;
use builder::sandbox::{Line, Stream};
use oci::{Algorithm, Digest};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::image::Tar;
use crate::lab::file;

#[derive(Debug)]
pub(crate) struct TarDriver {
    /// A run with `WORDS=wait` waits until this file is there; one with `WORDS=much` does, and then says more than packs into a page.
    pub(crate) gate: PathBuf,
    /// There is no room for a run while this file is there.
    pub(crate) full: PathBuf,
    /// How many runs it was given.
    pub(crate) runs: AtomicUsize,
}

/// What the plan's program is to do.
fn words(job: &Job) -> String {
    let steps = job.plan.recipe.stages.iter().flat_map(|stage| &stage.steps);
    let runs = steps.filter_map(|step| match step {
        Step::Run(run) => Some(&run.env),
        _ => None,
    });
    let mut words = runs
        .flatten()
        .filter_map(|entry| entry.strip_prefix("WORDS="));
    words.next_back().unwrap_or("nothing").to_owned()
}

/// The plan's caches, in words.
fn caches(job: &Job) -> Vec<String> {
    let steps = job.plan.recipe.stages.iter().flat_map(|stage| &stage.steps);
    let mounts = steps.filter_map(|step| match step {
        Step::Run(run) => Some(&run.mounts),
        _ => None,
    });
    let caches = mounts.flatten().filter_map(|mount| match mount {
        Mount::Cache { id, from, .. } => {
            let from = from.as_deref().unwrap_or("nothing");
            Some(format!("cache {id} of {from}"))
        }
        Mount::Secret { .. } | Mount::Injection { .. } => None,
    });
    caches.collect()
}

#[async_trait]
impl Driver for TarDriver {
    async fn make_room(&self, _run: &Writing) -> Result<(), Failure> {
        if !self.full.exists() {
            return Ok(());
        }
        Err(Failure {
            reason: OwnReason::DiskPressure.into(),
            message: "there is no room".to_owned(),
        })
    }

    async fn run(&self, job: Job, cancel: &CancellationToken) -> Result<Built, Failure> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        let words = words(&job);
        let say = |text: String| {
            let events = job.events.clone();
            async move {
                let stream = Stream::Out;
                let _ = events.send(Event::Line(Line { stream, text })).await;
            }
        };
        let _ = job.events.send(Event::Phase(Phase::Assemble)).await;
        say(format!("working with {words}")).await;
        if job.empty_caches {
            say("caches begin empty".to_owned()).await;
        }
        for cache in caches(&job) {
            say(cache).await;
        }
        if words == "fail" {
            return Err(Failure {
                reason: Reason::AssembleFailed.into(),
                message: "assemble ended with 1".to_owned(),
            });
        }
        while ["wait", "fork", "much"].contains(&words.as_str()) && !self.gate.exists() {
            if cancel.is_cancelled() {
                let (reason, message) = match words.as_str() {
                    "fork" => (OwnReason::TooManyProcesses, "it was refused processes"),
                    _ => (OwnReason::Cancelled, "cancelled"),
                };
                return Err(Failure {
                    reason: reason.into(),
                    message: message.to_owned(),
                });
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if words == "much" {
            let much = (0..1000).map(|_| uuid::Uuid::new_v4().to_string());
            say(much.collect()).await;
        }
        let _ = job.events.send(Event::Phase(Phase::Export)).await;
        let (digest, repo) = job.bases.iter().next().unwrap();
        let platform = Platform::of_this_machine();
        let base = BaseImage::by_digest(&*job.images, &job.actor, repo, *digest, &platform);
        let base = base.await.unwrap();
        let words = match words.as_str() {
            "random" => uuid::Uuid::new_v4().to_string(),
            _ => words,
        };
        let text = format!("{} {words} {:?}\n", job.plan.recipe.source, job.secrets);
        let tar = Tar::new().file("opt/result", 0o644, 0, text).bytes();
        let id = Digest::of(Algorithm::Sha256, &tar);
        let mut config: Value = serde_json::from_slice(base.config()).unwrap();
        config["config"] = serde_json::to_value(&job.plan.recipe.config).unwrap();
        config["rootfs"]["diff_ids"]
            .as_array_mut()
            .unwrap()
            .push(json!(id));
        config["history"]
            .as_array_mut()
            .unwrap()
            .push(json!({"created_by": "test"}));
        let epoch = job.epoch.duration_since(std::time::UNIX_EPOCH).unwrap();
        config["created"] = json!(epoch.as_secs().to_string());
        let layer = Layer {
            media_type: Compression::Plain.media_type(),
            digest: id,
            size: tar.len() as u64,
            diff_id: id,
            unpacked: tar.len() as u64,
            entries: 1,
        };
        Ok(Built {
            base: *digest,
            layer: Some((layer, file(&tar))),
            config: config.to_string().into_bytes(),
            usage: Used::default(),
        })
    }
}
