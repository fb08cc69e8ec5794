//! A base's layers become the output's all at a time: what is made durable together is made so once.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use builder::builds::Builds;
use builder::images::{Images, ImagesError, Layouts};
use builder::records::{Actor, State};
use builder::source::SourceNetwork;
use oci::{Digest, Manifest, Reference, RepoName, Tag};
use tokio_util::sync::CancellationToken;

use crate::file_ledger::FileLedger;
use crate::image::{Tar, execution, push};
use crate::lab::{actor, asked, driver, now, parts, push_source, settings, spec};

/// Counts mounts that are under way.
#[derive(Clone, Debug)]
struct Counted {
    images: Layouts,
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

#[async_trait]
impl Images for Counted {
    fn for_run(&self, _run: &str) -> Arc<dyn Images> {
        Arc::new(self.clone())
    }

    async fn manifest(
        &self,
        actor: &Actor,
        repo: &RepoName,
        reference: &Reference,
    ) -> Result<Option<Manifest>, ImagesError> {
        self.images.manifest(actor, repo, reference).await
    }

    async fn blob(
        &self,
        actor: &Actor,
        repo: &RepoName,
        digest: &Digest,
    ) -> Result<Option<Box<dyn Read + Send>>, ImagesError> {
        self.images.blob(actor, repo, digest).await
    }

    async fn mount(
        &self,
        actor: &Actor,
        into: &RepoName,
        from: &RepoName,
        digest: &Digest,
    ) -> Result<bool, ImagesError> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        // Whoever else is to be asked is asked before anybody has an answer.
        tokio::task::yield_now().await;
        let mounted = self.images.mount(actor, into, from, digest).await;
        self.now.fetch_sub(1, Ordering::SeqCst);
        mounted
    }

    async fn put_blob(
        &self,
        actor: &Actor,
        repo: &RepoName,
        digest: &Digest,
        content: File,
    ) -> Result<(), ImagesError> {
        self.images.put_blob(actor, repo, digest, content).await
    }

    async fn put_manifest(
        &self,
        actor: &Actor,
        repo: &RepoName,
        manifest: &Manifest,
        tags: &[Tag],
    ) -> Result<(), ImagesError> {
        self.images.put_manifest(actor, repo, manifest, tags).await
    }
}

#[tokio::test]
async fn layers_are_mounted_together() {
    let folder = tempfile::tempdir().unwrap();
    let images = Counted {
        images: Layouts::new(folder.path().join("images")),
        now: Arc::default(),
        most: Arc::default(),
    };
    let layers = ["a", "b", "c"].map(|name| Tar::new().file(name, 0o644, 0, name).bytes());
    push(&images.images, "shop/builder:1", &layers, execution()).await;
    let source = push_source(&images.images, folder.path(), &[("app.py", "print()")]).await;
    let parts = parts(
        folder.path(),
        Arc::new(FileLedger::new(&folder.path().join("ledger"))),
        Arc::new(images.clone()),
        driver(folder.path()),
        SourceNetwork::default(),
    );
    let builds = Builds::new(parts, settings(folder.path()));
    let stop = CancellationToken::new();
    let driving = tokio::spawn({
        let (builds, stop) = (builds.clone(), stop.clone());
        async move { builds.drive(stop).await }
    });
    let made = builds.create("shop", "app", spec(&source, "x"), actor(), now());
    made.await.unwrap();
    builds.start("shop", "app", asked(), now()).await.unwrap();
    let mut follow = builds.follow("shop", "app-1", 0).await.unwrap();
    while follow.next().await.unwrap().is_some() {}
    let run = builds.run("shop", "app-1").await.unwrap().value;
    assert_eq!(run.state, State::Succeeded);
    assert_eq!(images.most.load(Ordering::SeqCst), 3);
    stop.cancel();
    driving.await.unwrap();
}
