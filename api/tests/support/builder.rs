//! The service of builds on records in memory, with one builder image and without a machine to run on.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use builder::builds::{Builds, Parts, Settings};
use builder::driver::{Built, Driver, Failure, Job};
use builder::images::{Images, ImagesError};
use builder::ledger::memory::MemoryLedger;
use builder::records::{Actor, OwnReason};
use builder::secrets::SecretKeys;
use builder::source::git::{GitFetcher, Mirrors};
use builder::source::{SourceLimits, SourceNetwork};
use oci::{Algorithm, Digest, Manifest, Reference, RepoName, Tag};
use tokio_util::sync::CancellationToken;

/// One builder image, whatever it is called; takes none.
#[derive(Debug)]
struct OneImage;

/// Its configuration.
fn config() -> String {
    let architecture = match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "amd64",
    };
    let labels = serde_json::json!({
        "io.openshift.s2i.scripts-url": "image:///s2i",
        "io.k8s.display-name": "One",
    });
    let config = serde_json::json!({
        "os": "linux",
        "architecture": architecture,
        "config": {"Labels": labels},
        "rootfs": {"type": "layers", "diff_ids": []},
    });
    config.to_string()
}

#[async_trait]
impl Images for OneImage {
    fn for_run(&self, _: &str) -> Arc<dyn Images> {
        Arc::new(Self)
    }

    async fn manifest(
        &self,
        _: &Actor,
        _: &RepoName,
        _: &Reference,
    ) -> Result<Option<Manifest>, ImagesError> {
        let config = config();
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": Digest::of(Algorithm::Sha256, config.as_bytes()),
                "size": config.len(),
            },
            "layers": [],
        });
        let bytes = manifest.to_string().into();
        Ok(Manifest::parse(bytes, None, Algorithm::Sha256).ok())
    }

    async fn blob(
        &self,
        _: &Actor,
        _: &RepoName,
        _: &Digest,
    ) -> Result<Option<Box<dyn std::io::Read + Send>>, ImagesError> {
        let content = std::io::Cursor::new(config().into_bytes());
        Ok(Some(Box::new(content)))
    }

    async fn mount(
        &self,
        _: &Actor,
        _: &RepoName,
        _: &RepoName,
        _: &Digest,
    ) -> Result<bool, ImagesError> {
        Ok(false)
    }

    async fn put_blob(
        &self,
        _: &Actor,
        _: &RepoName,
        _: &Digest,
        _: std::fs::File,
    ) -> Result<(), ImagesError> {
        Err(ImagesError::Unavailable("no registry".to_owned()))
    }

    async fn put_manifest(
        &self,
        _: &Actor,
        _: &RepoName,
        _: &Manifest,
        _: &[Tag],
    ) -> Result<(), ImagesError> {
        Err(ImagesError::Unavailable("no registry".to_owned()))
    }
}

/// Runs nothing.
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

/// The service, with its files in a folder.
pub fn builds(folder: &Path, ledger: &Arc<MemoryLedger>) -> Builds {
    let network = SourceNetwork::default();
    let mirrors = Mirrors::new(folder.join("mirrors"));
    let git = GitFetcher::new(mirrors, network.clone(), SourceLimits::default());
    let keys = SecretKeys::load_or_create(&folder.join("secret-keys"));
    let parts = Parts {
        ledger: Arc::clone(ledger) as _,
        images: Arc::new(OneImage),
        driver: Arc::new(NoDriver),
        secret_keys: Arc::new(keys.unwrap()),
        git,
        network,
    };
    Builds::new(parts, Settings::new(folder.join("logs"), folder.into()))
}
