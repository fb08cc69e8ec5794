//! What every [`ObjectStore`] must do, one function a clause. [`object_store_suite!`] makes a test
//! of each, so a failure names the store and the clause.

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a suite reports by panicking"
)]

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use oci::{Algorithm, Digest, Hashers, RepoName, Tag, UploadId};

use crate::{
    AppendError, BodyError, ByteStream, Content, Durability, Key, Object, ObjectStore, Prefix,
    Progress, StoreError, layout,
};

/// A store under test.
pub type Store = Arc<dyn ObjectStore>;

/// One test per clause for the store that `$open` opens; it returns the store and whatever must
/// live as long.
#[macro_export]
macro_rules! object_store_suite {
    ($open:expr) => {
        $crate::object_store_suite!($open;
            put_then_get_returns_the_bytes,
            what_is_not_there_is_not_found,
            put_replaces_the_whole_object,
            delete_is_idempotent,
            deleting_leaves_neighbours_alone,
            list_is_in_byte_order_and_resumes,
            list_keeps_to_its_prefix,
            folders_are_one_part_longer,
            append_hashes_what_it_stores,
            append_cuts_what_a_dead_server_left,
            append_keeps_what_came_before_a_break,
            append_to_lost_bytes_is_not_found,
            what_is_staged_is_seen_and_deleted,
            append_of_nothing_makes_an_empty_object,
            publish_moves_and_heals,
            publish_of_nothing_is_not_found,
            what_is_adopted_is_published_and_what_is_not_leaves_nothing,
            an_open_object_outlives_its_name,
            racing_puts_and_deletes_leave_one_of_them,
        );
    };
    ($open:expr; $($clause:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $clause() {
                let (store, _keep) = $open;
                $crate::suite::$clause(store).await;
            }
        )+
    };
}

fn key(repo: &str, tag: &str) -> Key {
    let repo = RepoName::parse(repo).expect("a repository name");
    layout::tag_current(&repo, &Tag::parse(tag).expect("a tag"))
}

fn staged(id: u8) -> Key {
    let repo = RepoName::parse("a/b").expect("a repository name");
    layout::staged(&repo, &UploadId::from_random([id; 16]))
}

/// An object's bytes.
pub fn bytes(object: &Object) -> Vec<u8> {
    match &object.content {
        Content::Bytes(bytes) => bytes.to_vec(),
        Content::File(file) => {
            use std::os::unix::fs::FileExt as _;
            let size = usize::try_from(object.size).expect("fits in memory");
            let mut bytes = vec![0; size];
            file.read_exact_at(&mut bytes, 0).expect("readable");
            bytes
        }
    }
}

/// A body of these frames.
pub fn body<const N: usize>(frames: [&'static [u8]; N]) -> ByteStream {
    stream::iter(frames.map(|frame| Ok(Bytes::from_static(frame)))).boxed()
}

fn start() -> Progress {
    Progress {
        offset: 0,
        hashers: Hashers::new(&[Algorithm::Sha256]),
    }
}

async fn put(store: &Store, key: &Key, text: &'static str) {
    let body = Bytes::from_static(text.as_bytes());
    store.put(key, body, Durability::Now).await.expect("put");
}

async fn read(store: &Store, key: &Key) -> String {
    let object = store.get(key).await.expect("get");
    String::from_utf8(bytes(&object)).expect("text")
}

/// The folders of a prefix, each once, and none that nothing is below.
pub async fn folders_are_one_part_longer(store: Store) {
    let repositories = layout::repositories();
    let folders = async |prefix: &Prefix| store.folders(prefix).await.expect("folders");
    assert_eq!(folders(&repositories).await, []);
    for name in ["b", "a", "a/c", "a-b"] {
        put(&store, &key(name, "v1"), "x").await;
        put(&store, &key(name, "v2"), "x").await;
    }
    store.append(&staged(1), start(), body([b"x"])).await;
    let below = |prefix: &Prefix, name: &str| Prefix::new(format!("{prefix}{name}/"));
    let all = ["a-b", "a", "b"].map(|name| below(&repositories, name));
    assert_eq!(folders(&repositories).await, all);
    let a = below(&repositories, "a");
    let all = ["_manifests", "b", "c"].map(|name| below(&a, name));
    assert_eq!(folders(&a).await, all);
    let repo = RepoName::parse("a/b").expect("a repository name");
    assert_eq!(folders(&below(&a, "b")).await, [layout::uploads(&repo)]);
}

/// What was put comes back, with its size.
pub async fn put_then_get_returns_the_bytes(store: Store) {
    for (tag, durability) in [("now", Durability::Now), ("later", Durability::AtFlush)] {
        let key = key("a", tag);
        let body = Bytes::from_static(b"hello");
        store.put(&key, body, durability).await.expect("put");
        assert_eq!(read(&store, &key).await, "hello");
        assert_eq!(store.head(&key).await.expect("head").size, 5);
    }
    store.flush().await.expect("flush");
    let empty = key("a", "empty");
    put(&store, &empty, "").await;
    assert_eq!(read(&store, &empty).await, "");
}

/// Absence has one name, also below something that is an object.
pub async fn what_is_not_there_is_not_found(store: Store) {
    let missing = key("a", "missing");
    assert!(matches!(store.get(&missing).await, Err(StoreError::NotFound(key)) if key == missing));
    assert!(matches!(
        store.head(&missing).await,
        Err(StoreError::NotFound(_))
    ));
}

/// A shorter object leaves nothing of a longer one.
pub async fn put_replaces_the_whole_object(store: Store) {
    let key = key("a", "v1");
    put(&store, &key, "a long text").await;
    put(&store, &key, "short").await;
    assert_eq!(read(&store, &key).await, "short");
}

/// Twice is once.
pub async fn delete_is_idempotent(store: Store) {
    let key = key("a", "v1");
    put(&store, &key, "x").await;
    store.delete(&key).await.expect("delete");
    store.delete(&key).await.expect("delete again");
    assert!(matches!(
        store.get(&key).await,
        Err(StoreError::NotFound(_))
    ));
}

/// Only what was named goes, though names share folders.
pub async fn deleting_leaves_neighbours_alone(store: Store) {
    let (one, two) = (key("a/b", "v1"), key("a/b", "v2"));
    put(&store, &one, "1").await;
    put(&store, &two, "2").await;
    store.delete(&one).await.expect("delete");
    assert_eq!(read(&store, &two).await, "2");
}

async fn keys(store: &Store, after: Option<&Key>) -> Vec<String> {
    let listed = store.list(&layout::repositories(), after);
    listed
        .map_ok(|meta| meta.key.to_string())
        .try_collect()
        .await
        .expect("list")
}

/// The order of bytes, in which `a-b` comes before `a/b`; and from any key on.
pub async fn list_is_in_byte_order_and_resumes(store: Store) {
    for repo in ["a", "a/b", "a-b", "a.b", "ab", "a/b/c", "z"] {
        for tag in ["v1", "v10", "v1.0", "V1"] {
            put(&store, &key(repo, tag), "x").await;
        }
    }
    let all = keys(&store, None).await;
    assert_eq!(all.len(), 28);
    let mut sorted = all.clone();
    sorted.sort();
    assert_eq!(all, sorted);
    for (i, last) in all.iter().enumerate() {
        let last = Key::new(last.as_str());
        assert_eq!(
            keys(&store, Some(&last)).await,
            all[i + 1..],
            "after {last}"
        );
    }
}

/// `a/b` does not list `a/bc`.
pub async fn list_keeps_to_its_prefix(store: Store) {
    let repo = RepoName::parse("a").expect("a repository name");
    let v1 = Tag::parse("v1").expect("a tag");
    put(&store, &key("a", "v1"), "x").await;
    put(&store, &key("a", "v10"), "x").await;
    let listed: Vec<_> = store
        .list(&layout::tag(&repo, &v1), None)
        .try_collect()
        .await
        .expect("list");
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].key, key("a", "v1"));
}

/// The hash is that of what is stored, over several appends.
pub async fn append_hashes_what_it_stores(store: Store) {
    let key = staged(1);
    let first = store
        .append(&key, start(), body([b"hel", b"", b"lo "]))
        .await;
    assert!(first.failure.is_none());
    assert_eq!(first.progress.offset, 6);
    let second = store.append(&key, first.progress, body([b"world"])).await;
    assert!(second.failure.is_none());
    assert_eq!(second.progress.offset, 11);
    let digest = Digest::of(Algorithm::Sha256, b"hello world");
    let hashed = second.progress.hashers.finish(Algorithm::Sha256);
    assert_eq!(hashed, Some(digest));
    store
        .publish(&key, &layout::blob(&digest))
        .await
        .expect("publish");
    assert_eq!(read(&store, &layout::blob(&digest)).await, "hello world");
}

/// Bytes after the recorded offset never counted.
pub async fn append_cuts_what_a_dead_server_left(store: Store) {
    let key = staged(2);
    let kept = store.append(&key, start(), body([b"good"])).await.progress;
    store.append(&key, kept.clone(), body([b" bad bad"])).await;
    let again = store.append(&key, kept, body([b" ok"])).await.progress;
    let digest = Digest::of(Algorithm::Sha256, b"good ok");
    assert_eq!(again.hashers.finish(Algorithm::Sha256), Some(digest));
    let blob = layout::blob(&digest);
    store.publish(&key, &blob).await.expect("publish");
    assert_eq!(read(&store, &blob).await, "good ok");
}

/// A client that goes away may come back.
pub async fn append_keeps_what_came_before_a_break(store: Store) {
    let key = staged(3);
    let frames = [
        Ok(Bytes::from_static(b"one ")),
        Err(BodyError::Stalled),
        Ok(Bytes::from_static(b"never")),
    ];
    let broken = store
        .append(&key, start(), stream::iter(frames).boxed())
        .await;
    assert!(matches!(
        broken.failure,
        Some(AppendError::Body(BodyError::Stalled))
    ));
    assert_eq!(broken.progress.offset, 4);
    let rest = store.append(&key, broken.progress, body([b"two"])).await;
    let digest = Digest::of(Algorithm::Sha256, b"one two");
    assert_eq!(
        rest.progress.hashers.finish(Algorithm::Sha256),
        Some(digest)
    );
}

/// Bytes that were recorded and are gone are not made up.
pub async fn append_to_lost_bytes_is_not_found(store: Store) {
    let mut progress = start();
    progress.offset = 10;
    let appended = store.append(&staged(4), progress, body([b"x"])).await;
    assert!(matches!(
        appended.failure,
        Some(AppendError::Store(StoreError::NotFound(_)))
    ));
}

/// Staged bytes have a size, are listed, and can be dropped.
pub async fn what_is_staged_is_seen_and_deleted(store: Store) {
    let key = staged(7);
    store.append(&key, start(), body([b"12345"])).await;
    assert_eq!(store.head(&key).await.expect("head").size, 5);
    assert_eq!(read(&store, &key).await, "12345");
    assert_eq!(keys(&store, None).await, [key.to_string()]);
    store.delete(&key).await.expect("delete");
    assert!(matches!(
        store.head(&key).await,
        Err(StoreError::NotFound(_))
    ));
    assert!(keys(&store, None).await.is_empty());
}

/// An empty blob is uploaded as any other.
pub async fn append_of_nothing_makes_an_empty_object(store: Store) {
    let key = staged(8);
    let appended = store.append(&key, start(), body([])).await;
    assert!(appended.failure.is_none());
    let blob = layout::blob(&Digest::of(Algorithm::Sha256, b""));
    store.publish(&key, &blob).await.expect("publish");
    assert_eq!(read(&store, &blob).await, "");
}

/// The staged name is gone, the other holds the bytes, whatever it held before.
pub async fn publish_moves_and_heals(store: Store) {
    let digest = Digest::of(Algorithm::Sha256, b"right");
    let blob = layout::blob(&digest);
    put(&store, &blob, "wrong").await;
    let key = staged(5);
    store.append(&key, start(), body([b"right"])).await;
    store.publish(&key, &blob).await.expect("publish");
    assert_eq!(read(&store, &blob).await, "right");
    assert!(matches!(
        store.publish(&key, &blob).await,
        Err(StoreError::NotFound(_))
    ));
}

/// There must be something to publish.
pub async fn publish_of_nothing_is_not_found(store: Store) {
    let blob = layout::blob(&Digest::of(Algorithm::Sha256, b""));
    let published = store.publish(&staged(6), &blob).await;
    assert!(matches!(published, Err(StoreError::NotFound(_))));
    assert!(store.get(&blob).await.is_err());
}

/// Whether a file is adopted depends on disks: never is it half.
pub async fn what_is_adopted_is_published_and_what_is_not_leaves_nothing(store: Store) {
    let mut file = tempfile::tempfile().expect("a file");
    std::io::Write::write_all(&mut file, b"built").expect("write");
    let (file, key) = (
        Arc::new(file),
        layout::scratch(&UploadId::from_random([8; 16])),
    );
    let blob = layout::blob(&Digest::of(Algorithm::Sha256, b"built"));
    if store.adopt(&file, &key).await.expect("adopt") {
        store.settle(&file).await.expect("settle");
        assert_eq!(store.head(&key).await.expect("head").size, 5);
        store.publish(&key, &blob).await.expect("publish");
        assert_eq!(read(&store, &blob).await, "built");
    }
    assert!(matches!(
        store.head(&key).await,
        Err(StoreError::NotFound(_))
    ));
}

/// A pull that has begun ends well, though the object is replaced and deleted meanwhile.
pub async fn an_open_object_outlives_its_name(store: Store) {
    let key = key("a", "v1");
    put(&store, &key, "first").await;
    let open = store.get(&key).await.expect("get");
    put(&store, &key, "second").await;
    store.delete(&key).await.expect("delete");
    assert_eq!(bytes(&open), b"first");
}

/// Folders that one request empties and removes are the folders that another one fills.
pub async fn racing_puts_and_deletes_leave_one_of_them(store: Store) {
    let tasks = (0..8).map(|task| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let key = key("a/b/c", "v1");
            for _ in 0..100 {
                if task % 2 == 0 {
                    put(&store, &key, "x").await;
                } else {
                    store.delete(&key).await.expect("delete");
                }
            }
        })
    });
    for task in tasks {
        task.await.expect("no task fails");
    }
    let key = key("a/b/c", "v1");
    put(&store, &key, "y").await;
    assert_eq!(read(&store, &key).await, "y");
}
