//! Loads that several wait for: held up at the object, while other things happen.

use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use tokio::sync::Semaphore;

use super::*;
use crate::{
    Appended, ByteStream, Index, Key, Meta, Object, ObjectStore, Prefix, Progress, StoreError,
};

/// A store that lets one object be read only when it is told to.
#[derive(Debug)]
struct Gate {
    inner: MemoryStore,
    held_up: Mutex<Option<Key>>,
    reads: AtomicUsize,
    passes: Semaphore,
}

impl Gate {
    fn hold_up(&self, digest: &Digest) {
        *self.held_up.lock().unwrap() = Some(layout::blob(digest));
    }

    async fn wait_for_a_read(&self) {
        while self.reads.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    }

    fn open(&self) {
        self.passes.add_permits(1_000_000);
    }
}

#[async_trait]
impl ObjectStore for Gate {
    fn takes_writes(&self) -> bool {
        self.inner.takes_writes()
    }

    async fn head(&self, key: &Key) -> Result<Meta, StoreError> {
        self.inner.head(key).await
    }

    async fn get(&self, key: &Key) -> Result<Object, StoreError> {
        let is_held_up = self.held_up.lock().unwrap().as_ref() == Some(key);
        let object = self.inner.get(key).await;
        if is_held_up {
            self.reads.fetch_add(1, Ordering::SeqCst);
            self.passes.acquire().await.unwrap().forget();
        }
        object
    }

    async fn put(&self, key: &Key, body: Bytes, durability: Durability) -> Result<(), StoreError> {
        self.inner.put(key, body, durability).await
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        self.inner.delete(key).await
    }

    fn list<'a>(
        &'a self,
        prefix: &Prefix,
        after: Option<&Key>,
    ) -> BoxStream<'a, Result<Meta, StoreError>> {
        self.inner.list(prefix, after)
    }

    async fn folders(&self, prefix: &Prefix) -> Result<Vec<Prefix>, StoreError> {
        self.inner.folders(prefix).await
    }

    async fn append(&self, staged: &Key, at: Progress, body: ByteStream) -> Appended {
        self.inner.append(staged, at, body).await
    }

    async fn publish(&self, staged: &Key, to: &Key) -> Result<(), StoreError> {
        self.inner.publish(staged, to).await
    }

    async fn flush(&self) -> Result<(), StoreError> {
        self.inner.flush().await
    }
}

/// A storage in which `v1` is image 1, and reading that waits.
struct Scene {
    gate: Arc<Gate>,
    storage: Arc<Storage>,
}

impl Scene {
    async fn new() -> Self {
        let gate = Arc::new(Gate {
            inner: MemoryStore::new(),
            held_up: Mutex::default(),
            reads: AtomicUsize::new(0),
            passes: Semaphore::new(0),
        });
        let store: Arc<dyn ObjectStore> = gate.clone();
        let index: Arc<dyn Index> = Arc::new(SqliteIndex::in_memory().unwrap());
        let storage = Storage::open(store, index, Limits::default());
        let storage = Arc::new(storage.await.unwrap());
        hold(storage.index(), &repo("a"), &[1, 2]).await;
        put(&storage, &image(1, &[]), &["v1"]).await;
        gate.hold_up(&image(1, &[]).digest());
        Self { gate, storage }
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
    scene.gate.wait_for_a_read().await;
    // Were there others, they would come here too.
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    scene.gate.open();
    for pull in pulls {
        assert_eq!(pull.await.unwrap().as_ref(), Some(image(1, &[]).bytes()));
    }
    assert_eq!(scene.gate.reads.load(Ordering::SeqCst), 1);
}

/// What a push has just written it knows.
#[tokio::test]
async fn a_push_reads_nothing_back() {
    let scene = Scene::new().await;
    let digest = image(1, &[]).digest();
    scene.gate.open();
    put(&scene.storage, &image(1, &[]), &["v1", "v2"]).await;
    assert_eq!(scene.gate.reads.load(Ordering::SeqCst), 0);
    let linked = link(&scene.storage, &repo("a"), "v2").await;
    assert_eq!(linked, digest.to_string());
}

#[tokio::test]
async fn who_goes_away_takes_nothing_from_those_who_joined() {
    let scene = Scene::new().await;
    let first = scene.pull();
    scene.gate.wait_for_a_read().await;
    let second = scene.pull();
    tokio::task::yield_now().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    scene.gate.open();
    let pulled = second.await.unwrap();
    assert_eq!(pulled.as_ref(), Some(image(1, &[]).bytes()));
    assert_eq!(scene.gate.reads.load(Ordering::SeqCst), 1);
}

/// Whoever comes after an acknowledged push must not be told what was read before it.
#[tokio::test]
async fn a_load_that_began_before_a_push_is_not_joined_after_it() {
    let scene = Scene::new().await;
    let early = scene.pull();
    scene.gate.wait_for_a_read().await;
    put(&scene.storage, &image(2, &[]), &["v1"]).await;
    let late = pull(&scene.storage, tag("v1")).await;
    assert_eq!(late.as_ref(), Some(image(2, &[]).bytes()));
    scene.gate.open();
    assert!(early.await.unwrap().is_some());
    // Nor does the early one leave behind what it read.
    let late = pull(&scene.storage, tag("v1")).await;
    assert_eq!(late.as_ref(), Some(image(2, &[]).bytes()));
}

#[tokio::test]
async fn a_load_that_began_before_a_deletion_is_not_joined_after_it() {
    let scene = Scene::new().await;
    let early = scene.pull();
    scene.gate.wait_for_a_read().await;
    let digest = image(1, &[]).digest();
    let (catalog, a) = (&scene.storage.catalog, repo("a"));
    assert!(catalog.delete_manifest(&a, &digest).await.unwrap());
    assert_eq!(pull(&scene.storage, tag("v1")).await, None);
    assert_eq!(pull(&scene.storage, digest).await, None);
    scene.gate.open();
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
    scene.gate.hold_up(&one.digest());
    let pull = || {
        let storage = Arc::clone(&scene.storage);
        let reference = Reference::Tag(tag("v1"));
        tokio::spawn(async move {
            let found = storage.catalog.manifest(&repo("a"), &reference).await;
            found.unwrap().unwrap().media_type.clone()
        })
    };
    let early = pull();
    scene.gate.wait_for_a_read().await;
    put(&scene.storage, &two, &[]).await;
    let late = pull();
    tokio::task::yield_now().await;
    scene.gate.open();
    assert_eq!(late.await.unwrap().as_str(), "a/two");
    assert_eq!(early.await.unwrap().as_str(), "a/one");
}
