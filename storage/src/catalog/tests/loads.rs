//! Loads that several wait for: held up at the object, while other things happen.

use tokio::sync::OwnedRwLockWriteGuard;

use super::*;
use crate::faulty::{Door, Fault, FaultyStore};
use crate::{Index, ObjectStore};

/// A storage in which `v1` is image 1, and reading that waits.
struct Scene {
    store: Arc<FaultyStore>,
    storage: Arc<Storage>,
    shut: OwnedRwLockWriteGuard<()>,
}

impl Scene {
    async fn new() -> Self {
        let memory = Arc::new(MemoryStore::new());
        let store = Arc::new(FaultyStore::new(memory, Fault::Before));
        let index: Arc<dyn Index> = Arc::new(SqliteIndex::in_memory().unwrap());
        let storage = Storage::open(
            Arc::clone(&store) as Arc<dyn ObjectStore>,
            index,
            Limits::default(),
        );
        let storage = Arc::new(storage.await.unwrap());
        hold(storage.index(), &repo("a"), &[1, 2]).await;
        put(&storage, &image(1, &[]), &["v1"]).await;
        store.slow_down(layout::blob(&image(1, &[]).digest()));
        let shut = store.reading().shut().await;
        Self {
            store,
            storage,
            shut,
        }
    }

    fn reading(&self) -> &Door {
        self.store.reading()
    }

    fn pull(&self) -> tokio::task::JoinHandle<Option<Bytes>> {
        let storage = Arc::clone(&self.storage);
        tokio::spawn(async move { pull(&storage, tag("v1")).await })
    }
}

#[tokio::test]
async fn a_thousand_who_miss_share_one_load() {
    let scene = Scene::new().await;
    let pulls: Vec<_> = (0..1_000).map(|_| scene.pull()).collect();
    scene.reading().visited().await;
    // Were there others, they would come here too.
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    drop(scene.shut);
    for pull in pulls {
        assert_eq!(pull.await.unwrap().as_ref(), Some(image(1, &[]).bytes()));
    }
    assert_eq!(scene.store.reading().visits(), 1);
}

/// What a push has just written it knows.
#[tokio::test]
async fn a_push_reads_nothing_back() {
    let scene = Scene::new().await;
    let digest = image(1, &[]).digest();
    drop(scene.shut);
    put(&scene.storage, &image(1, &[]), &["v1", "v2"]).await;
    assert_eq!(scene.store.reading().visits(), 0);
    let linked = link(&scene.storage, &repo("a"), "v2").await;
    assert_eq!(linked, digest.to_string());
}

#[tokio::test]
async fn who_goes_away_takes_nothing_from_those_who_joined() {
    let scene = Scene::new().await;
    let first = scene.pull();
    scene.reading().visited().await;
    let second = scene.pull();
    tokio::task::yield_now().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    drop(scene.shut);
    let pulled = second.await.unwrap();
    assert_eq!(pulled.as_ref(), Some(image(1, &[]).bytes()));
    assert_eq!(scene.store.reading().visits(), 1);
}

/// Whoever comes after an acknowledged push must not be told what was read before it.
#[tokio::test]
async fn a_load_that_began_before_a_push_is_not_joined_after_it() {
    let scene = Scene::new().await;
    let early = scene.pull();
    scene.reading().visited().await;
    put(&scene.storage, &image(2, &[]), &["v1"]).await;
    let late = pull(&scene.storage, tag("v1")).await;
    assert_eq!(late.as_ref(), Some(image(2, &[]).bytes()));
    drop(scene.shut);
    assert!(early.await.unwrap().is_some());
    // Nor does the early one leave behind what it read.
    let late = pull(&scene.storage, tag("v1")).await;
    assert_eq!(late.as_ref(), Some(image(2, &[]).bytes()));
}

#[tokio::test]
async fn a_load_that_began_before_a_deletion_is_not_joined_after_it() {
    let scene = Scene::new().await;
    let early = scene.pull();
    scene.reading().visited().await;
    let digest = image(1, &[]).digest();
    let (catalog, a) = (&scene.storage.catalog, repo("a"));
    assert!(catalog.delete_manifest(&a, &digest, at(1)).await.unwrap());
    assert_eq!(pull(&scene.storage, tag("v1")).await, None);
    assert_eq!(pull(&scene.storage, digest).await, None);
    drop(scene.shut);
    assert!(early.await.unwrap().is_some());
    assert_eq!(pull(&scene.storage, tag("v1")).await, None);
}

/// The tag is as it was; what it leads to is not.
#[tokio::test]
async fn a_load_is_not_shared_when_its_manifest_became_another_type() {
    let scene = Scene::new().await;
    let parse = |name| {
        let media_type = MediaType::parse(name).unwrap();
        let bytes = Bytes::from_static(b"{}");
        Manifest::parse(bytes, Some(&media_type), oci::Algorithm::Sha256).unwrap()
    };
    let (one, two) = (parse("a/one"), parse("a/two"));
    put(&scene.storage, &one, &["v1"]).await;
    scene.store.slow_down(layout::blob(&one.digest()));
    let pull = || {
        let storage = Arc::clone(&scene.storage);
        let reference = Reference::Tag(tag("v1"));
        tokio::spawn(async move {
            let found = storage.catalog.manifest(&repo("a"), &reference).await;
            found.unwrap().unwrap().media_type.clone()
        })
    };
    let early = pull();
    scene.reading().visited().await;
    put(&scene.storage, &two, &[]).await;
    let late = pull();
    tokio::task::yield_now().await;
    drop(scene.shut);
    assert_eq!(late.await.unwrap().as_str(), "a/two");
    assert_eq!(early.await.unwrap().as_str(), "a/one");
}
