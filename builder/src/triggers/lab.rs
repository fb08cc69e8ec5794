//! A service of builds on records in memory and images in a folder, whose runs end as a test says.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use oci::{Algorithm, Digest, Manifest, MediaType};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{OwnerRefused, Owners, Triggers};
use crate::builds::{Builds, Parts, SecretContent, Settings};
use crate::driver::{Built, Driver, Failure, Job, SecretFiles};
use crate::images::{ImageName, Images as _, Layouts};
use crate::ledger::memory::MemoryLedger;
use crate::ledger::{Kept, Kind, Ledger as _, Write};
use crate::records::{Actor, Build, BuildSpec, OwnReason, Run, RunResult, SecretUse, State};
use crate::secrets::SecretKeys;
use crate::source::git::{GitFetcher, Mirrors};
use crate::source::{SourceLimits, SourceNetwork};

pub(crate) const NAMESPACE: &str = "team";

#[derive(Debug)]
struct NoDriver;

#[async_trait]
impl Driver for NoDriver {
    async fn run(&self, _: Job, _: &CancellationToken) -> Result<Built, Failure> {
        Err(Failure {
            reason: OwnReason::SandboxUnavailable.into(),
            message: "nothing runs here".to_owned(),
        })
    }
}

/// All owners may build, until they may not.
#[derive(Debug, Default)]
pub(crate) struct Everybody {
    pub(crate) gone: AtomicBool,
}

#[async_trait]
impl Owners for Everybody {
    async fn may_build(&self, owner: &Actor, _: &str, _: SystemTime) -> Result<(), OwnerRefused> {
        if self.gone.load(Ordering::SeqCst) {
            return Err(OwnerRefused::Forbidden(format!("{} is gone", owner.name)));
        }
        Ok(())
    }
}

pub(crate) struct Lab {
    _folder: TempDir,
    pub(crate) images: Layouts,
    pub(crate) ledger: Arc<MemoryLedger>,
    pub(crate) builds: Builds,
    pub(crate) owners: Arc<Everybody>,
}

pub(crate) fn owner() -> Actor {
    Actor {
        name: "ann".to_owned(),
        proof: Value::Null,
    }
}

pub(crate) fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

impl Lab {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let images = Layouts::new(path.join("images"));
        let ledger = Arc::new(MemoryLedger::default());
        let network = SourceNetwork::default();
        let mirrors = Mirrors::new(path.join("mirrors"));
        let parts = Parts {
            ledger: Arc::clone(&ledger) as _,
            images: Arc::new(images.clone()),
            driver: Arc::new(NoDriver),
            secret_keys: Arc::new(SecretKeys::load_or_create(&path.join("keys")).unwrap()),
            git: GitFetcher::new(mirrors, network.clone(), SourceLimits::default()),
            network,
        };
        let mut settings = Settings::new(path.join("logs"), path.to_owned());
        settings.namespace_waiting = 1_000_000;
        Self {
            builds: Builds::new(parts, settings),
            _folder: folder,
            images,
            ledger,
            owners: Arc::default(),
        }
    }

    pub(crate) fn triggers(&self) -> Triggers {
        Triggers::new(self.builds.clone(), Arc::clone(&self.owners) as _)
    }

    /// A build of `https://git.example.com/team/app.git` with what `more` says besides.
    pub(crate) async fn build(&self, name: &str, more: &Value, now: SystemTime) {
        let spec = spec(name, more);
        let made = self.builds.create(NAMESPACE, name, spec, owner(), now);
        made.await.unwrap();
    }

    pub(crate) async fn secret(&self, name: &str, used_for: SecretUse, files: &[(&str, &str)]) {
        let files = files.iter().map(|(name, content)| {
            let content = Zeroizing::new(content.as_bytes().to_vec());
            ((*name).to_owned(), content)
        });
        let servers = Zeroizing::new(b"git.example.com".to_vec());
        let servers = (used_for == SecretUse::Git).then(|| ("hosts".to_owned(), servers));
        let files = files.chain(servers);
        let content = SecretContent {
            used_for,
            files: SecretFiles(files.collect::<BTreeMap<_, _>>()),
        };
        let put = self.builds.put_secret(NAMESPACE, name, &content, at(0));
        put.await.unwrap();
    }

    /// All runs, by name.
    pub(crate) async fn runs(&self) -> BTreeMap<String, Run> {
        let kept = self.ledger.list(Kind::Run, NAMESPACE, "", None, 100_000);
        let runs = kept.await.unwrap().into_iter().map(|kept| {
            let run: Run = serde_json::from_slice(&kept.body).unwrap();
            (run.metadata.name.clone(), run)
        });
        runs.collect()
    }

    /// Pushes an image without layers, whose content is `salt`.
    pub(crate) async fn push(&self, name: &str, salt: &str) -> ImageName {
        let name = ImageName::parse(name, &[]).unwrap();
        let config = json!({
            "os": "linux",
            "architecture": match std::env::consts::ARCH { "aarch64" => "arm64", _ => "amd64" },
            "config": {"Labels": {"salt": salt}},
            "rootfs": {"type": "layers", "diff_ids": []},
        })
        .to_string();
        let digest = Digest::of(Algorithm::Sha256, config.as_bytes());
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(config.as_bytes()).unwrap();
        let owner = owner();
        let put = self.images.put_blob(&owner, name.repo(), &digest, file);
        put.await.unwrap();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": digest.to_string(),
                "size": config.len(),
            },
            "layers": [],
        })
        .to_string();
        let whole = Digest::of(Algorithm::Sha256, manifest.as_bytes());
        let manifest = Manifest::parse(manifest.into_bytes().into(), None, whole).unwrap();
        let tags: Vec<_> = name.tag().cloned().into_iter().collect();
        let put = self
            .images
            .put_manifest(&owner, name.repo(), &manifest, &tags);
        put.await.unwrap();
        ImageName::pinned(name.repo().clone(), whole)
    }

    /// Ends every run that waits: it stands on what its names mean now, and pushes an image that `content` makes of that.
    pub(crate) async fn finish(
        &self,
        now: SystemTime,
        mut content: impl FnMut(&Run, &str) -> String,
    ) {
        for kept in self.ledger.open(Kind::Run, None, 100_000).await.unwrap() {
            let mut run: Run = serde_json::from_slice(&kept.body).unwrap();
            let mut all = Vec::new();
            for standing in self.builds.stands_on(NAMESPACE, &run.spec).await.unwrap() {
                let now = self
                    .builds
                    .now(&standing, &owner())
                    .await
                    .unwrap()
                    .to_string();
                all.push(now.clone());
                if standing.is_runtime {
                    run.resolved.runtime = Some(now);
                } else {
                    run.resolved.builder = Some(now);
                }
            }
            let content = content(&run, &all.join(" "));
            let made = self.push(&run.spec.output.image, &content).await;
            run.state = State::Succeeded;
            run.ended =
                Some(u64::try_from(now.duration_since(at(0)).unwrap().as_millis()).unwrap());
            run.result = Some(RunResult {
                image: made.to_string(),
                tags: vec!["latest".to_owned()],
                layer_bytes: 0,
                same_as: None,
                differs: Vec::new(),
                reused: false,
                used: crate::driver::Used::default(),
            });
            let of = run.build.clone().unwrap();
            let build = self.builds.build(NAMESPACE, &of).await.unwrap();
            let mut changed: Build = build.value;
            changed.status.succeeded = Some(run.metadata.name.clone());
            changed.status.tried = None;
            self.put(&kept, &run, false).await;
            let key = crate::ledger::Key {
                kind: Kind::Build,
                namespace: NAMESPACE.to_owned(),
                name: of,
            };
            let kept = self.ledger.get(&key).await.unwrap().unwrap();
            let open = kept.open;
            self.put(&kept, &changed, open).await;
        }
    }

    async fn put<T: serde::Serialize>(&self, kept: &Kept, value: &T, open: bool) {
        let write = Write::Put {
            key: kept.key.clone(),
            revision: Some(kept.revision),
            open,
            brief: None,
            body: serde_json::to_vec(value).unwrap(),
        };
        self.ledger.write(vec![write]).await.unwrap();
    }
}

pub(crate) fn spec(name: &str, more: &Value) -> BuildSpec {
    let mut spec = json!({
        "source": {"kind": "git", "url": "https://git.example.com/team/app.git", "revision": "main"},
        "builder": "team/builder:1",
        "output": {"image": format!("team/{name}:latest")},
    });
    for (name, value) in more.as_object().unwrap() {
        spec[name] = value.clone();
    }
    serde_json::from_value(spec).unwrap()
}
