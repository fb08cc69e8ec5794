use std::fs;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use oci::{Algorithm, Digest, Hasher, Hashers, RepoName, Tag, UploadId};
use proptest::prelude::*;
use tempfile::TempDir;

use super::FsStore;
use crate::suite::{Store, body};
use crate::{AppendError, Durability, ObjectStore as _, Progress, StoreError, layout};

fn open() -> (Store, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = FsStore::open(folder.path()).unwrap();
    (Arc::new(store), folder)
}

crate::object_store_suite!(open());

fn repo() -> RepoName {
    RepoName::parse("team/app").unwrap()
}

fn staged() -> crate::Key {
    layout::staged(&repo(), &UploadId::from_random([7; 16]))
}

fn start() -> Progress {
    Progress {
        offset: 0,
        hashers: Hashers::new(&[Algorithm::Sha256]),
    }
}

#[tokio::test]
async fn the_tree_is_that_of_distribution() {
    let (store, folder) = open();
    let digest = Digest::of(Algorithm::Sha256, b"x");
    let tag = Tag::parse("v1").unwrap();
    for key in [
        layout::blob(&digest),
        layout::layer(&repo(), &digest),
        layout::revision(&repo(), &digest),
        layout::tag_current(&repo(), &tag),
        layout::tag_index(&repo(), &tag, &digest),
    ] {
        store
            .put(&key, Bytes::from_static(b"x"), Durability::Now)
            .await
            .unwrap();
    }
    let hex = digest.hex();
    let root = folder.path().join("docker/registry/v2");
    let repository = root.join("repositories/team/app");
    for file in [
        root.join(format!("blobs/sha256/{}/{hex}/data", &hex[..2])),
        repository.join(format!("_layers/sha256/{hex}/link")),
        repository.join(format!("_manifests/revisions/sha256/{hex}/link")),
        repository.join("_manifests/tags/v1/current/link"),
        repository.join(format!("_manifests/tags/v1/index/sha256/{hex}/link")),
    ] {
        assert!(file.is_file(), "{}", file.display());
    }
}

#[tokio::test]
async fn folders_that_become_empty_go() {
    let (store, folder) = open();
    let key = layout::tag_current(&repo(), &Tag::parse("v1").unwrap());
    store
        .put(&key, Bytes::from_static(b"x"), Durability::Now)
        .await
        .unwrap();
    store.delete(&key).await.unwrap();
    let top = folder.path().join("docker/registry/v2/repositories");
    assert_eq!(fs::read_dir(top).unwrap().count(), 0);
}

#[tokio::test]
async fn what_a_dead_server_was_writing_is_cleared() {
    let (_, folder) = open();
    let left = folder.path().join(super::SCRATCH).join("17");
    fs::write(&left, "half").unwrap();
    FsStore::open(folder.path()).unwrap();
    assert!(!left.exists());
}

#[tokio::test]
async fn a_folder_that_is_in_use_is_left_alone() {
    let (store, folder) = open();
    let under_way = folder.path().join(super::SCRATCH).join("17");
    fs::write(&under_way, "half").unwrap();
    let refused = FsStore::open(folder.path()).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ResourceBusy);
    assert!(refused.to_string().contains(".slipway-lock"), "{refused}");
    assert!(under_way.exists());
    FsStore::open_beside_server(folder.path()).unwrap();
    drop(store);
    FsStore::open(folder.path()).unwrap();
    assert!(!under_way.exists());
}

#[test]
fn folders_are_made_also_behind_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    super::make_durably(&at("real/a/b")).unwrap();
    std::os::unix::fs::symlink(at("real"), at("link")).unwrap();
    for again in ["link/a/b", "link/c/d", "link"] {
        super::make_durably(&at(again)).unwrap();
    }
    assert!(at("real/a/b").is_dir() && at("real/c/d").is_dir());
    fs::write(at("file"), "").unwrap();
    let refused = super::make_durably(&at("file/below")).unwrap_err();
    assert!(refused.to_string().contains("file"), "{refused}");
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_written() {
    let (_, folder) = open();
    let store = FsStore::open(folder.path()).unwrap();
    assert!(store.takes_writes());
    let failed = store.disk.synced(Err(std::io::Error::other("EIO")));
    assert!(matches!(failed, Err(StoreError::ReadOnly)));
    assert!(!store.takes_writes());
    let key = layout::tag_current(&repo(), &Tag::parse("v1").unwrap());
    let put = store.put(&key, Bytes::new(), Durability::AtFlush).await;
    assert!(matches!(put, Err(StoreError::ReadOnly)));
    assert!(matches!(
        store.delete(&key).await,
        Err(StoreError::ReadOnly)
    ));
    assert!(matches!(store.flush().await, Err(StoreError::ReadOnly)));
    let appended = store.append(&staged(), start(), body([b"x"])).await;
    assert!(matches!(
        appended.failure,
        Some(AppendError::Store(StoreError::ReadOnly))
    ));
}

#[tokio::test]
async fn a_body_of_many_batches_arrives_whole() {
    let (store, _folder) = open();
    let frame = Bytes::from(vec![5; 100_000]);
    let frames = std::iter::repeat_n(Ok(frame.clone()), 700);
    let appended = store
        .append(&staged(), start(), stream::iter(frames).boxed())
        .await;
    assert!(appended.failure.is_none());
    assert_eq!(appended.progress.offset, 70_000_000);
    let mut hasher = Hasher::new(Algorithm::Sha256);
    (0..700).for_each(|_| hasher.update(&frame));
    let digest = hasher.finish();
    assert_eq!(
        appended.progress.hashers.finish(Algorithm::Sha256),
        Some(digest)
    );
    let object = store.get(&staged()).await.unwrap();
    let bytes = crate::suite::bytes(&object);
    assert_eq!(Digest::of(Algorithm::Sha256, &bytes), digest);
}

#[tokio::test]
async fn a_durable_write_knows_which_folders_are_durable() {
    let (_, folder) = open();
    let store = FsStore::open(folder.path()).unwrap();
    let digest = Digest::of(Algorithm::Sha256, b"x");
    let key = layout::blob(&digest);
    let put = store.put(&key, Bytes::from_static(b"x"), Durability::Now);
    put.await.unwrap();
    let known = store.disk.durable.lock().clone();
    let shelf = folder.path().join("docker/registry/v2/blobs/sha256");
    let shelf = shelf.join(&digest.hex()[..2]);
    for stays in shelf.ancestors().take_while(|at| *at != folder.path()) {
        assert!(known.contains(stays), "{}", stays.display());
    }
    assert!(!known.contains(&shelf.join(digest.hex())));
    // What is known to be durable must never go.
    store.delete(&key).await.unwrap();
    assert!(!shelf.join(digest.hex()).exists());
    assert!(shelf.exists());
}

#[tokio::test]
async fn a_full_disk_that_shows_at_a_sync_stops_nothing_else() {
    let (_, folder) = open();
    let store = FsStore::open(folder.path()).unwrap();
    for kind in [
        std::io::ErrorKind::StorageFull,
        std::io::ErrorKind::QuotaExceeded,
    ] {
        let failed = store.disk.synced_data(Err(kind.into()));
        assert!(matches!(failed, Err(StoreError::Full)));
    }
    assert!(store.flush().await.is_ok());
    let failed = store.disk.synced_data(Err(std::io::Error::other("EIO")));
    assert!(matches!(failed, Err(StoreError::ReadOnly)));
    assert!(matches!(store.flush().await, Err(StoreError::ReadOnly)));
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_at_any_pace_arrive_whole() {
    let (store, _folder) = open();
    let uploads = (0..24_u8).map(|upload| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            // Some all at once, some with pauses in which the writing thread goes back to its pool.
            let pause = u64::from(upload % 3);
            let frame = Bytes::from(vec![upload; 50_000]);
            let frames = stream::iter(0..200).then(move |i| {
                let frame = frame.clone();
                async move {
                    if pause > 0 && i % 7 == 0 {
                        tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
                    }
                    Ok(frame)
                }
            });
            let key = layout::staged(&repo(), &UploadId::from_random([upload; 16]));
            let appended = store.append(&key, start(), frames.boxed()).await;
            assert!(appended.failure.is_none());
            let digest = Digest::of(Algorithm::Sha256, &vec![upload; 10_000_000]);
            let hashed = appended.progress.hashers.finish(Algorithm::Sha256);
            assert_eq!(hashed, Some(digest));
            let stored = crate::suite::bytes(&store.get(&key).await.unwrap());
            assert_eq!(Digest::of(Algorithm::Sha256, &stored), digest);
        })
    });
    for upload in uploads.collect::<Vec<_>>() {
        upload.await.unwrap();
    }
}

/// A handle for each byte would be thirty times the memory, and a system call each.
#[tokio::test]
async fn bytes_that_come_one_by_one_are_handled_together() {
    let (store, _folder) = open();
    let content: Vec<u8> = (0..300_000_u32).map(|i| (i % 251) as u8).collect();
    let one_by_one = || {
        let frames: Vec<_> = content.chunks(1).map(Bytes::copy_from_slice).collect();
        stream::iter(frames.into_iter().map(Ok)).boxed()
    };
    let mut body = one_by_one();
    let mut collected = Vec::new();
    loop {
        let (batch, end) = super::append::collect(&mut body).await;
        assert!(batch.len() <= 3, "{} pieces", batch.len());
        collected.extend(batch.concat());
        if end.is_some() {
            break;
        }
    }
    assert_eq!(collected, content);
    let appended = store.append(&staged(), start(), one_by_one()).await;
    assert!(appended.failure.is_none());
    let object = store.get(&staged()).await.unwrap();
    assert_eq!(crate::suite::bytes(&object), content);
}

/// Small frames among large ones stay where they were.
#[tokio::test]
async fn frames_of_all_sizes_keep_their_order() {
    let sizes = [1, 5000, 4095, 4096, 0, 70_000, 3, 4095, 200_000, 17, 1];
    let frames = sizes.iter().enumerate();
    let frames: Vec<_> = frames
        .map(|(i, size)| Bytes::from(vec![u8::try_from(i).unwrap(); *size]))
        .collect();
    let mut body = stream::iter(frames.clone().into_iter().map(Ok)).boxed();
    let mut collected = Vec::new();
    loop {
        let (batch, end) = super::append::collect(&mut body).await;
        assert!(batch.iter().all(|piece| !piece.is_empty()));
        collected.extend(batch.concat());
        if end.is_some() {
            break;
        }
    }
    assert_eq!(collected, frames.concat());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However the bytes are cut into requests and frames, the blob is the same.
    #[test]
    fn cuts_do_not_matter(chunks in prop::collection::vec(
        prop::collection::vec(prop::collection::vec(any::<u8>(), 0..2000), 0..5), 0..6)
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let (store, _folder) = open();
            let mut progress = start();
            let mut all = Vec::new();
            for frames in chunks {
                all.extend(frames.concat());
                let frames = frames.into_iter().map(|frame| Ok(Bytes::from(frame)));
                let frames: Vec<_> = frames.collect();
                // As after a restart: the hash goes on from its checkpoint.
                let checkpoint = progress.hashers.checkpoint();
                progress.hashers = Hashers::resume(&checkpoint).unwrap();
                let appended = store
                    .append(&staged(), progress, stream::iter(frames).boxed())
                    .await;
                assert!(appended.failure.is_none());
                progress = appended.progress;
            }
            let digest = Digest::of(Algorithm::Sha256, &all);
            assert_eq!(progress.hashers.finish(Algorithm::Sha256), Some(digest));
            assert_eq!(progress.offset, all.len() as u64);
        });
    }
}
