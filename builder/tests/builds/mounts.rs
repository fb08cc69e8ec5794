//! A base's layers become the output's all at a time: what is made durable together is made so once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use builder::builds::Builds;
use builder::images::{ImagesError, Layouts};
use builder::records::State;
use builder::source::SourceNetwork;
use tokio_util::sync::CancellationToken;

use crate::file_ledger::FileLedger;
use crate::image::{Tar, execution, push};
use crate::lab::{actor, asked, driver, now, parts, push_source, settings, spec};
use crate::watched::{Call, Watch, Watched};

/// Counts mounts that are under way.
#[derive(Debug, Default)]
struct Counted {
    now: AtomicUsize,
    most: AtomicUsize,
}

#[async_trait]
impl Watch for Counted {
    async fn before(&self, call: Call<'_>) -> Result<(), ImagesError> {
        if let Call::Mount = call {
            let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            // Whoever else is to be asked is asked before anybody has an answer.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn after(&self, call: Call<'_>) -> Result<(), ImagesError> {
        if let Call::Mount = call {
            self.now.fetch_sub(1, Ordering::SeqCst);
        }
        Ok(())
    }
}

#[tokio::test]
async fn layers_are_mounted_together() {
    let folder = tempfile::tempdir().unwrap();
    let images = Watched {
        images: Layouts::new(folder.path().join("images")),
        watch: Arc::new(Counted::default()),
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
    assert_eq!(images.watch.most.load(Ordering::SeqCst), 3);
    stop.cancel();
    driving.await.unwrap();
}
