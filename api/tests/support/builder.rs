//! The service of builds on records in memory, without a machine to run on and without a registry to read from.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use builder::builds::{Builds, Parts, Settings};
use builder::driver::{Built, Driver, Failure, Job};
use builder::images::{Images, ImagesError};
use builder::ledger::memory::MemoryLedger;
use builder::records::{Actor, FailureReason};
use builder::secrets::SecretKeys;
use builder::source::git::{GitFetcher, Mirrors};
use builder::source::{SourceLimits, SourceNetwork};
use oci::{Digest, Manifest, Reference, RepoName, Tag};
use tokio_util::sync::CancellationToken;

/// Has no image and takes none.
#[derive(Debug)]
struct NoImages;

#[async_trait]
impl Images for NoImages {
    fn for_run(&self, _: &str) -> Arc<dyn Images> {
        Arc::new(Self)
    }

    async fn manifest(
        &self,
        _: &Actor,
        _: &RepoName,
        _: &Reference,
    ) -> Result<Option<Manifest>, ImagesError> {
        Ok(None)
    }

    async fn blob(
        &self,
        _: &Actor,
        _: &RepoName,
        _: &Digest,
    ) -> Result<Option<Box<dyn std::io::Read + Send>>, ImagesError> {
        Ok(None)
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
            reason: FailureReason::from_word("NoDriver".to_owned()),
            message: "nothing runs here".to_owned(),
        })
    }
}

/// The service, with its files in a folder.
pub fn builds(folder: &Path) -> Builds {
    let network = SourceNetwork::default();
    let mirrors = Mirrors::new(folder.join("mirrors"));
    let git = GitFetcher::new(mirrors, network.clone(), SourceLimits::default());
    let keys = SecretKeys::load_or_create(&folder.join("secret-keys"));
    let parts = Parts {
        ledger: Arc::new(MemoryLedger::default()),
        images: Arc::new(NoImages),
        driver: Arc::new(NoDriver),
        secret_keys: Arc::new(keys.unwrap()),
        git,
        network,
    };
    Builds::new(parts, Settings::new(folder.join("logs"), folder.into()))
}
