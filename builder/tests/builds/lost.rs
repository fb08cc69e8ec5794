//! A registry whose answers are lost when a run publishes, and one that will not publish.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use builder::builds::Builds;
use builder::images::{Images, ImagesError, Layouts};
use builder::ledger::{Kind, Ledger as _};
use builder::records::{Run, State};
use builder::source::SourceNetwork;
use oci::{Digest, RepoName};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::file_ledger::FileLedger;
use crate::lab::{
    actor, asked, driver, eventually, now, parts, push_builder, push_source, settings, spec,
};
use crate::watched::{Call, Watch, Watched};

/// Loses what is said of a result's manifest, and from then on every answer, while `is_silent`.
#[derive(Debug, Default)]
struct Mute {
    /// Whether the manifest is stored before the answer is lost.
    stores: bool,
    is_silent: AtomicBool,
    was_asked: AtomicBool,
}

fn lost() -> Result<(), ImagesError> {
    Err(ImagesError::Unavailable("no answer".to_owned()))
}

impl Mute {
    fn loses(&self, repo: &RepoName) -> Result<(), ImagesError> {
        if repo.as_str() == "shop/app" {
            self.is_silent.store(true, Ordering::SeqCst);
            return lost();
        }
        Ok(())
    }
}

#[async_trait]
impl Watch for Mute {
    async fn before(&self, call: Call<'_>) -> Result<(), ImagesError> {
        match call {
            Call::Manifest if self.is_silent.load(Ordering::SeqCst) => {
                self.was_asked.store(true, Ordering::SeqCst);
                lost()
            }
            Call::PutManifest(repo) if !self.stores => self.loses(repo),
            _ => Ok(()),
        }
    }

    async fn after(&self, call: Call<'_>) -> Result<(), ImagesError> {
        match call {
            Call::PutManifest(repo) => self.loses(repo),
            _ => Ok(()),
        }
    }
}

/// Lets nobody move a tag.
#[derive(Debug)]
struct Keeper(Layouts);

#[async_trait]
impl Watch for Keeper {
    async fn before(&self, call: Call<'_>) -> Result<(), ImagesError> {
        let Call::MayPush(actor, repo, tags) = call else {
            return Ok(());
        };
        for tag in tags {
            let reference = tag.clone().into();
            if self.0.manifest(actor, repo, &reference).await?.is_some() {
                let told = format!("tag {tag} exists");
                return Err(ImagesError::Forbidden(told));
            }
        }
        Ok(())
    }
}

struct Lab {
    folder: TempDir,
    registry: Watched<Mute>,
    ledger: Arc<FileLedger>,
    builds: Builds,
    run: Run,
    stop: CancellationToken,
    driving: tokio::task::JoinHandle<()>,
}

/// A run whose manifest has had no answer, nor whoever asked whether it is there.
async fn lab(stores: bool) -> Lab {
    let folder = tempfile::tempdir().unwrap();
    let images = Layouts::new(folder.path().join("images"));
    push_builder(&images).await;
    let source = push_source(&images, folder.path(), &[("app.py", "print()")]).await;
    let watch = Mute {
        stores,
        ..Mute::default()
    };
    let registry = Watched {
        images,
        watch: Arc::new(watch),
    };
    let ledger = Arc::new(FileLedger::new(&folder.path().join("ledger")));
    let builds = service(&folder, &ledger, Arc::new(registry.clone()));
    let made = builds.create("shop", "app", spec(&source, "x"), actor(), now());
    made.await.unwrap();
    let (stop, driving) = drive(&builds);
    let run = builds.start("shop", "app", asked(), now()).await;
    eventually("the registry is asked", async || {
        registry
            .watch
            .was_asked
            .load(Ordering::SeqCst)
            .then_some(())
    })
    .await;
    Lab {
        folder,
        registry,
        ledger,
        builds,
        run: run.unwrap().value,
        stop,
        driving,
    }
}

fn service(folder: &TempDir, ledger: &Arc<FileLedger>, images: Arc<dyn Images>) -> Builds {
    let path = folder.path();
    let ledger = Arc::clone(ledger) as _;
    let network = SourceNetwork::default();
    let parts = parts(path, ledger, images, driver(path), network);
    Builds::new(parts, settings(path))
}

fn drive(builds: &Builds) -> (CancellationToken, tokio::task::JoinHandle<()>) {
    let stop = CancellationToken::new();
    let (builds, until) = (builds.clone(), stop.clone());
    let driving = tokio::spawn(async move { builds.drive(until).await });
    (stop, driving)
}

impl Lab {
    async fn record(&self) -> Run {
        let run = self.builds.run("shop", &self.run.metadata.name).await;
        run.unwrap().value
    }

    async fn ended(&self, builds: &Builds) -> Run {
        eventually("the end", async || {
            let run = builds.run("shop", &self.run.metadata.name).await;
            Some(run.unwrap().value).filter(|run| run.state.has_ended())
        })
        .await
    }

    async fn events(&self) -> usize {
        self.ledger.count(Kind::Event, "shop").await.unwrap()
    }

    async fn tag(&self) -> Option<Digest> {
        let name = builder::images::ImageName::parse("shop/app:v1", &[]).unwrap();
        let (images, actor) = (&self.registry.images, actor());
        let found = images.manifest(&actor, name.repo(), name.reference());
        found.await.unwrap().map(|manifest| manifest.digest())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_registry_has_done_is_recorded_when_it_answers_again() {
    for stores in [true, false] {
        let lab = lab(stores).await;
        // Somebody's wish comes too late, and is no reason to say what nobody knows.
        let cancelled = lab.builds.cancel("shop", "app-1", "bob", now()).await;
        assert_eq!(cancelled.unwrap().value.state, State::Running);
        lab.registry.watch.is_silent.store(false, Ordering::SeqCst);
        let run = lab.ended(&lab.builds).await;
        if stores {
            assert_eq!(run.state, State::Succeeded);
            let digest = lab.tag().await.unwrap();
            assert_eq!(run.result.unwrap().image, format!("shop/app@{digest}"));
            assert_eq!(lab.events().await, 1);
        } else {
            assert_eq!(
                run.state,
                State::Cancelled {
                    by: "bob".to_owned()
                }
            );
            assert_eq!((run.result, lab.tag().await), (None, None));
            assert_eq!(lab.events().await, 0);
        }
        lab.stop.cancel();
        lab.driving.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_without_an_answer_leaves_the_question_to_the_next() {
    for (stores, is_cancelled) in [(true, false), (true, true), (false, false), (false, true)] {
        let mut lab = lab(stores).await;
        if is_cancelled {
            let cancelled = lab.builds.cancel("shop", "app-1", "bob", now()).await;
            cancelled.unwrap();
        }
        lab.stop.cancel();
        (&mut lab.driving).await.unwrap();
        let left = lab.record().await;
        assert_eq!(left.state, State::Running, "nobody knows yet");
        assert!(left.result.is_some());
        assert_eq!(left.attempts, 0, "it is not held against the run");

        let images = Arc::new(lab.registry.images.clone());
        let next = service(&lab.folder, &lab.ledger, images);
        let (stop, driving) = drive(&next);
        let run = lab.ended(&next).await;
        stop.cancel();
        driving.await.unwrap();
        if !stores && is_cancelled {
            assert_eq!(
                run.state,
                State::Cancelled {
                    by: "bob".to_owned()
                }
            );
            assert_eq!((lab.tag().await, lab.events().await), (None, 0));
            continue;
        }
        assert_eq!(run.state, State::Succeeded, "{stores} {is_cancelled}");
        let digest = lab.tag().await.unwrap();
        assert_eq!(run.result.unwrap().image, format!("shop/app@{digest}"));
        assert_eq!(lab.events().await, 1);
    }
}

/// Nobody builds for an hour what is refused then.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_move_the_tag_that_is_there_is_told_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let images = Layouts::new(folder.path().join("images"));
    push_builder(&images).await;
    let source = push_source(&images, folder.path(), &[("app.py", "print()")]).await;
    let registry = Watched {
        watch: Arc::new(Keeper(images.clone())),
        images,
    };
    let ledger = Arc::new(FileLedger::new(&folder.path().join("ledger")));
    let driver = driver(folder.path());
    let own = Arc::clone(&driver);
    let network = SourceNetwork::default();
    let parts = parts(folder.path(), ledger, Arc::new(registry), own, network);
    let builds = Builds::new(parts, settings(folder.path()));
    let made = builds.create("shop", "app", spec(&source, "x"), actor(), now());
    made.await.unwrap();
    let (stop, driving) = drive(&builds);
    let run = async || {
        let run = builds.start("shop", "app", asked(), now()).await.unwrap();
        let name = run.value.metadata.name;
        let mut follow = builds.follow("shop", &name, 0).await.unwrap();
        while follow.next().await.unwrap().is_some() {}
        builds.run("shop", &name).await.unwrap().value
    };
    assert_eq!(run().await.state, State::Succeeded, "it is new");
    assert!(run().await.result.unwrap().reused, "it moves nothing");
    let changed = spec(&source, "y");
    let replaced = builds.replace("shop", "app", changed, actor(), None, now());
    replaced.await.unwrap();
    let refused = run().await;
    assert_eq!(crate::lab::reason(&refused), "Forbidden");
    assert_eq!(driver.runs.load(Ordering::SeqCst), 1, "the first one's");
    // Tags that are new move nothing.
    let mut elsewhere = spec(&source, "y");
    elsewhere.output.image = "shop/app:v2".to_owned();
    elsewhere.output.tags = vec!["{run}".to_owned()];
    let replaced = builds.replace("shop", "app", elsewhere, actor(), None, now());
    replaced.await.unwrap();
    assert_eq!(run().await.state, State::Succeeded);
    stop.cancel();
    driving.await.unwrap();
}
