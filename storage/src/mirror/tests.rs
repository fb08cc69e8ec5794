use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use oci::MediaType;

use super::Mirror;
use crate::faulty::{Fault, FaultyStore};
use crate::index::suite::{hold, image, put, repo, tag, then};
use crate::index::{Index, Link};
use crate::suite::bytes;
use crate::{Durability, Key, MemoryStore, Meta, ObjectStore, SqliteIndex, StoreError, layout};

struct Scene {
    memory: Arc<MemoryStore>,
    store: Arc<FaultyStore>,
    index: Arc<dyn Index>,
    mirror: Mirror,
}

impl Scene {
    fn new() -> Self {
        let memory = Arc::new(MemoryStore::new());
        let store = Arc::new(FaultyStore::new(memory.clone(), Fault::Before));
        let index: Arc<dyn Index> = Arc::new(SqliteIndex::in_memory().unwrap());
        let mirror = Mirror::new(
            Arc::clone(&store) as Arc<dyn ObjectStore>,
            Arc::clone(&index),
        );
        Self {
            memory,
            store,
            index,
            mirror,
        }
    }

    async fn text(&self, key: &Key) -> Option<String> {
        match self.store.get(key).await {
            Ok(object) => Some(String::from_utf8(bytes(&object)).unwrap()),
            Err(StoreError::NotFound(_)) => None,
            Err(error) => panic!("{error}"),
        }
    }

    async fn keys(&self) -> Vec<String> {
        let list = self.store.list(&layout::repositories(), None);
        let metas: Vec<Meta> = list.try_collect().await.unwrap();
        metas.iter().map(|meta| meta.key.to_string()).collect()
    }

    async fn pending(&self) -> usize {
        self.index.journal(0, 1_000).await.unwrap().len()
    }

    async fn push(&self, manifest: &oci::Manifest, tags: &[&str]) {
        let digest = manifest.digest();
        let body = manifest.bytes().clone();
        let key = layout::blob(&digest);
        // Past what may be full: only links are to fail.
        self.memory.put(&key, body, Durability::Now).await.unwrap();
        put(&self.index, &repo("a"), manifest, tags).await;
    }
}

#[tokio::test]
async fn what_a_stop_left_behind_is_settled_at_start() {
    let scene = Scene::new();
    let (a, image) = (repo("a"), image(1, &[]));
    hold(&scene.index, &a, &[1]).await;
    scene.push(&image, &["v1"]).await;
    assert_eq!(scene.keys().await, [""; 0]);
    scene.mirror.replay().await.unwrap();
    let digest = image.digest().to_string();
    let current = layout::tag_current(&a, &tag("v1"));
    assert_eq!(scene.text(&current).await, Some(digest.clone()));
    assert_eq!(
        scene.text(&layout::revision(&a, &image.digest())).await,
        Some(digest)
    );
    assert_eq!(scene.keys().await.len(), 4);
    assert_eq!(scene.pending().await, 0);

    scene
        .index
        .delete_manifest(&a, &image.digest(), then())
        .await
        .unwrap();
    scene.mirror.replay().await.unwrap();
    assert_eq!(scene.keys().await.len(), 1, "only the layer is left");
    assert_eq!(scene.pending().await, 0);
}

#[tokio::test]
async fn rows_stay_until_their_links_are_synced() {
    let scene = Scene::new();
    let a = repo("a");
    hold(&scene.index, &a, &[1]).await;
    let link = Link::Layer(a.clone(), crate::index::suite::blob(1));
    scene.mirror.settle(std::slice::from_ref(&link)).await;
    assert_eq!(scene.keys().await.len(), 1);
    assert_eq!(scene.pending().await, 1, "written, not synced");
    // A row that came after the link was written is not settled by that.
    hold(&scene.index, &a, &[1]).await;
    scene.mirror.flush().await.unwrap();
    assert_eq!(scene.pending().await, 1);
    scene.mirror.settle(&[link]).await;
    scene.mirror.flush().await.unwrap();
    assert_eq!(scene.pending().await, 0);
}

#[tokio::test]
async fn a_full_disk_leaves_links_for_later() {
    let scene = Scene::new();
    let a = repo("a");
    hold(&scene.index, &a, &[1, 2]).await;
    let link = |number| Link::Layer(a.clone(), crate::index::suite::blob(number));
    scene.store.fill(true);
    scene.mirror.settle(&[link(1), link(2)]).await;
    assert_eq!(scene.mirror.replay().await.unwrap(), 2);
    assert!(!scene.mirror.catch_up().await.unwrap());
    assert_eq!((scene.keys().await.len(), scene.pending().await), (0, 2));
    scene.store.fill(false);
    assert!(scene.mirror.catch_up().await.unwrap());
    assert_eq!((scene.keys().await.len(), scene.pending().await), (2, 0));
}

/// Once there is no space, thousands of links need not be tried to know that.
#[tokio::test]
async fn a_full_disk_ends_a_replay_early() {
    let scene = Scene::new();
    let a = repo("a");
    let numbers: Vec<u64> = (0..1_000).collect();
    hold(&scene.index, &a, &numbers).await;
    scene.store.fill(true);
    let tried = scene.mirror.replay().await.unwrap();
    assert!(0 < tried && tried <= 100, "{tried}");
    scene.store.fill(false);
    assert_eq!(scene.mirror.replay().await.unwrap(), 0);
    assert_eq!(
        (scene.keys().await.len(), scene.pending().await),
        (1_000, 0)
    );
}

/// Whoever deletes a manifest does not wait for all of its tags' links.
#[tokio::test]
async fn what_is_too_much_for_a_reply_is_settled_later() {
    let scene = Scene::new();
    let (a, image) = (repo("a"), image(1, &[]));
    hold(&scene.index, &a, &[1]).await;
    let names: Vec<String> = (0..250).map(|n| format!("v{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    scene.push(&image, &names).await;
    assert_eq!(scene.mirror.replay().await.unwrap(), 0);
    // Two of a tag, a layer and a revision.
    assert_eq!(scene.keys().await.len(), 502);
    let freed = scene
        .index
        .delete_manifest(&a, &image.digest(), then())
        .await;
    let freed = freed.unwrap().unwrap().into_iter();
    let links: Vec<Link> = freed.map(|tag| Link::Tag(a.clone(), tag)).collect();
    scene.mirror.settle(&links).await;
    assert_eq!(scene.keys().await.len(), 302);
    // Nor does whoever starts a server.
    scene.mirror.begin().await.unwrap();
    assert_eq!(scene.keys().await.len(), 302);
    assert!(scene.mirror.catch_up().await.unwrap());
    assert_eq!((scene.keys().await.len(), scene.pending().await), (1, 0));
}

#[tokio::test]
async fn a_media_type_lies_beside_only_where_bytes_do_not_tell() {
    let scene = Scene::new();
    let a = repo("a");
    let media_type = MediaType::parse("application/vnd.example+json").unwrap();
    let silent = oci::Manifest::parse(
        Bytes::from_static(b"{}"),
        Some(&media_type),
        oci::Algorithm::Sha256,
    )
    .unwrap();
    hold(&scene.index, &a, &[1]).await;
    let telling = image(1, &[]);
    scene.push(&silent, &[]).await;
    scene.push(&telling, &[]).await;
    scene.mirror.replay().await.unwrap();
    let beside = |manifest: &oci::Manifest| layout::media_type(&a, &manifest.digest());
    let text = Some(media_type.to_string());
    assert_eq!(scene.text(&beside(&silent)).await, text);
    assert_eq!(scene.text(&beside(&telling)).await, None);
    // Without its bytes, nothing tells.
    let blob = layout::blob(&telling.digest());
    scene.store.delete(&blob).await.unwrap();
    let link = Link::Revision(a.clone(), telling.digest());
    scene.mirror.settle(&[link]).await;
    let text = Some(telling.media_type().to_string());
    assert_eq!(scene.text(&beside(&telling)).await, text);
}

/// Settling is not ordered with commits; wherever each is overtaken, objects end as the index does.
#[tokio::test(flavor = "multi_thread")]
async fn racing_moves_end_with_the_object_at_what_the_index_says() {
    let scene = Arc::new(Scene::new());
    let a = repo("a");
    let numbers: Vec<u64> = (0..8).collect();
    hold(&scene.index, &a, &numbers).await;
    for number in &numbers {
        scene.push(&image(*number, &[]), &[]).await;
    }
    for _ in 0..30 {
        let movers: Vec<_> = numbers
            .iter()
            .map(|number| {
                let (scene, a, number) = (Arc::clone(&scene), a.clone(), *number);
                tokio::spawn(async move {
                    let link = [Link::Tag(a.clone(), tag("v1"))];
                    if number % 4 == 3 {
                        scene
                            .index
                            .delete_tag(&a, &tag("v1"), then())
                            .await
                            .unwrap();
                    } else {
                        put(&scene.index, &a, &image(number, &[]), &["v1"]).await;
                    }
                    scene.mirror.settle(&link).await;
                })
            })
            .collect();
        for mover in movers {
            mover.await.unwrap();
        }
        let facts = scene.index.tag(&a, &tag("v1")).await.unwrap();
        let expected = facts.map(|facts| facts.digest.to_string());
        let current = layout::tag_current(&a, &tag("v1"));
        assert_eq!(scene.text(&current).await, expected);
    }
}
