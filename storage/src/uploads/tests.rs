use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use oci::{Algorithm, Digest, RepoName, UploadId};
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::UploadError;
use crate::suite::{body, bytes};
use crate::{
    BodyError, ByteStream, ChunkRange, FsStore, Limits, MemoryStore, ObjectStore, SqliteIndex,
    Storage, StorageError, Unlink, layout,
};

mod faults;
mod file;

const OWNER: &str = "user:alice";
const LIMIT: u64 = 1 << 20;

fn repo(name: &str) -> RepoName {
    RepoName::parse(name).unwrap()
}

fn sha256(content: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, content)
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn range(start: u64, end: u64) -> Option<ChunkRange> {
    let range = ChunkRange::new(start, end);
    assert!(range.is_some());
    range
}

/// Storage on files that can be opened again, as after a crash: nothing is closed.
struct House {
    folder: TempDir,
    storage: Storage,
}

impl House {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let storage = Self::open(&folder).await;
        Self { folder, storage }
    }

    async fn open(folder: &TempDir) -> Storage {
        let store = unlocked(folder).await;
        let index = SqliteIndex::open(&folder.path().join("index.db")).unwrap();
        wire(Arc::new(store), index).await
    }

    async fn again(self) -> Self {
        drop(self.storage);
        let storage = Self::open(&self.folder).await;
        Self {
            folder: self.folder,
            storage,
        }
    }

    fn file(&self, key: &crate::Key) -> std::path::PathBuf {
        self.folder.path().join("objects").join(key.as_str())
    }
}

/// Opens the files once what was open of them is closed: work in the background ends a moment after its storage.
async fn unlocked(folder: &TempDir) -> FsStore {
    let root = folder.path().join("objects");
    for _ in 0..60_000 {
        match FsStore::open(&root) {
            Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            opened => return opened.unwrap(),
        }
    }
    panic!("the files stay open");
}

async fn wire(store: Arc<dyn ObjectStore>, index: SqliteIndex) -> Storage {
    let limits = Limits {
        max_blob_bytes: LIMIT,
        ..Limits::default()
    };
    let opened = Storage::open(store, Arc::new(index), limits);
    opened.await.unwrap()
}

async fn memory() -> Storage {
    let index = SqliteIndex::in_memory().unwrap();
    wire(Arc::new(MemoryStore::new()), index).await
}

impl Storage {
    async fn begin(&self, repo: &RepoName) -> UploadId {
        self.uploads.start(repo, OWNER, None, at(1)).await.unwrap()
    }

    async fn add(
        &self,
        repo: &RepoName,
        id: &UploadId,
        range: Option<ChunkRange>,
        body: ByteStream,
    ) -> Result<u64, UploadError> {
        let uploads = &self.uploads;
        uploads.append(repo, OWNER, id, range, body, at(2)).await
    }

    async fn end(
        &self,
        repo: &RepoName,
        id: &UploadId,
        digest: &Digest,
    ) -> Result<u64, UploadError> {
        let uploads = &self.uploads;
        uploads.finish(repo, OWNER, id, digest, None, at(3)).await
    }

    async fn push(&self, repo: &RepoName, content: &'static [u8]) -> Digest {
        let digest = sha256(content);
        let length = Some(content.len() as u64);
        let pushed = self
            .uploads
            .whole(repo, &digest, body([content]), length, at(1));
        assert_eq!(pushed.await.unwrap(), content.len() as u64);
        digest
    }

    async fn pull(&self, repo: &RepoName, digest: &Digest) -> Option<Vec<u8>> {
        let object = self.blobs.open(repo, digest).await.unwrap()?;
        Some(bytes(&object))
    }
}

#[tokio::test]
async fn a_blob_comes_in_chunks() {
    for storage in [memory().await, House::new().await.again().await.storage] {
        let a = repo("a");
        let id = storage.begin(&a).await;
        let first = storage
            .add(&a, &id, range(0, 5), body([b"hel", b"lo "]))
            .await;
        assert_eq!(first.unwrap(), 6);
        let status = storage.uploads.status(&a, OWNER, &id).await;
        assert_eq!(status.unwrap(), 6);
        let digest = sha256(b"hello world!");
        let second = storage.add(&a, &id, None, body([b"world"])).await;
        assert_eq!(second.unwrap(), 11);
        let tail = Some((range(11, 11), body([b"!"])));
        let finished = storage.uploads.finish(&a, OWNER, &id, &digest, tail, at(3));
        assert_eq!(finished.await.unwrap(), 12);
        assert_eq!(storage.pull(&a, &digest).await.unwrap(), b"hello world!");
        let gone = storage.uploads.status(&a, OWNER, &id).await;
        assert!(matches!(gone, Err(UploadError::Unknown)));
    }
}

#[tokio::test]
async fn an_empty_blob_is_a_blob() {
    let house = House::new().await;
    let (storage, a) = (&house.storage, repo("a"));
    let empty = sha256(b"");
    let id = storage.begin(&a).await;
    assert_eq!(storage.end(&a, &id, &empty).await.unwrap(), 0);
    assert_eq!(storage.pull(&a, &empty).await.unwrap(), b"");
    let b = repo("b");
    let pushed = storage.uploads.whole(&b, &empty, body([]), Some(0), at(1));
    assert_eq!(pushed.await.unwrap(), 0);
    assert_eq!(storage.pull(&b, &empty).await.unwrap(), b"");
}

/// CVE-2026-32589: the id alone opens nothing.
#[tokio::test]
async fn a_session_is_nobody_elses() {
    let storage = memory().await;
    let (a, b) = (repo("a"), repo("b"));
    let id = storage.begin(&a).await;
    storage.add(&a, &id, None, body([b"mine"])).await.unwrap();
    let digest = sha256(b"mine");
    for (repo, owner) in [
        (&b, OWNER),
        (&a, "user:mallory"),
        (&a, ""),
        (&b, "user:mallory"),
    ] {
        let uploads = &storage.uploads;
        let unknown = [
            uploads.status(repo, owner, &id).await.map(drop),
            uploads
                .append(repo, owner, &id, None, body([b"x"]), at(2))
                .await
                .map(drop),
            uploads
                .finish(repo, owner, &id, &digest, None, at(2))
                .await
                .map(drop),
            uploads.cancel(repo, owner, &id).await,
        ];
        for answer in unknown {
            assert!(matches!(answer, Err(UploadError::Unknown)), "{answer:?}");
        }
    }
    assert_eq!(storage.end(&a, &id, &digest).await.unwrap(), 4);
    assert_eq!(storage.pull(&b, &digest).await, None);
}

#[tokio::test]
async fn a_chunk_out_of_order_leaves_the_session_alive() {
    let storage = memory().await;
    let a = repo("a");
    let id = storage.begin(&a).await;
    storage
        .add(&a, &id, range(0, 3), body([b"good"]))
        .await
        .unwrap();
    let digest = sha256(b"good");
    for start in [0, 3, 5] {
        let chunk = storage
            .add(&a, &id, range(start, start), body([b"x"]))
            .await;
        assert!(matches!(chunk, Err(UploadError::OutOfOrder { have: 4 })));
        let tail = Some((range(start, start), body([b"x"])));
        let last = storage
            .uploads
            .finish(&a, OWNER, &id, &digest, tail, at(3))
            .await;
        assert!(matches!(last, Err(UploadError::OutOfOrder { have: 4 })));
    }
    assert_eq!(storage.end(&a, &id, &digest).await.unwrap(), 4);
}

#[tokio::test]
async fn of_a_body_that_is_not_as_long_as_announced_nothing_is_taken() {
    let storage = memory().await;
    let a = repo("a");
    let id = storage.begin(&a).await;
    for chunk in [&b"short"[..], b"much too long"] {
        let added = storage.add(&a, &id, range(0, 7), body([chunk])).await;
        assert!(
            matches!(added, Err(UploadError::SizeMismatch { announced: 8 })),
            "{added:?}"
        );
        assert_eq!(storage.uploads.status(&a, OWNER, &id).await.unwrap(), 0);
        let digest = sha256(chunk);
        let whole = storage
            .uploads
            .whole(&a, &digest, body([chunk]), Some(8), at(1));
        assert!(matches!(
            whole.await,
            Err(UploadError::SizeMismatch { announced: 8 })
        ));
        assert_eq!(storage.pull(&a, &digest).await, None);
    }
    storage
        .add(&a, &id, range(0, 7), body([b"12345678"]))
        .await
        .unwrap();
    let ended = storage.end(&a, &id, &sha256(b"12345678")).await;
    assert_eq!(ended.unwrap(), 8);
}

#[tokio::test]
async fn a_chunk_that_was_refused_does_not_get_into_the_blob() {
    for storage in [memory().await, House::new().await.again().await.storage] {
        let a = repo("a");
        let id = storage.begin(&a).await;
        storage.add(&a, &id, None, body([b"good"])).await.unwrap();
        let refused = storage.add(&a, &id, range(4, 20), body([b"bad"])).await;
        assert!(matches!(refused, Err(UploadError::SizeMismatch { .. })));
        let digest = sha256(b"good");
        assert_eq!(storage.end(&a, &id, &digest).await.unwrap(), 4);
        assert_eq!(storage.pull(&a, &digest).await.unwrap(), b"good");
    }
}

#[tokio::test]
async fn no_blob_is_larger_than_the_limit() {
    let house = House::new().await;
    let (storage, a) = (&house.storage, repo("a"));
    let frame = |_| Ok(Bytes::from(vec![7; 64 << 10]));
    let too_much = || stream::iter((0..17).map(frame)).boxed();
    let full = Digest::of(Algorithm::Sha256, &vec![7; 1 << 20]);
    let id = storage.begin(&a).await;
    let added = storage.add(&a, &id, None, too_much()).await;
    assert!(matches!(added, Err(UploadError::TooLarge { limit: LIMIT })));
    for length in [None, Some(LIMIT + 1), Some(u64::MAX)] {
        let whole = storage
            .uploads
            .whole(&a, &full, too_much(), length, at(1))
            .await;
        assert!(matches!(whole, Err(UploadError::TooLarge { limit: LIMIT })));
    }
    let just = stream::iter((0..16).map(frame)).boxed();
    let whole = storage.uploads.whole(&a, &full, just, None, at(1)).await;
    assert_eq!(whole.unwrap(), LIMIT);
}

#[tokio::test]
async fn after_a_wrong_digest_the_session_can_be_finished() {
    let storage = memory().await;
    let a = repo("a");
    let id = storage.begin(&a).await;
    storage.add(&a, &id, None, body([b"right"])).await.unwrap();
    let right = sha256(b"right");
    let wrong = storage.end(&a, &id, &sha256(b"wrong")).await;
    assert!(matches!(wrong, Err(UploadError::DigestMismatch { got }) if got == right));
    assert_eq!(storage.pull(&a, &right).await, None);
    let tail = Some((None, body([b" bytes"])));
    let uploads = &storage.uploads;
    let wrong = uploads.finish(&a, OWNER, &id, &right, tail, at(3)).await;
    assert!(matches!(wrong, Err(UploadError::DigestMismatch { .. })));
    let right = sha256(b"right bytes");
    assert_eq!(storage.end(&a, &id, &right).await.unwrap(), 11);
    let whole = storage
        .uploads
        .whole(&a, &sha256(b"wrong"), body([b"right"]), None, at(1))
        .await;
    assert!(matches!(whole, Err(UploadError::DigestMismatch { .. })));
}

#[tokio::test]
async fn sha512_may_be_named_at_the_end_only() {
    for storage in [memory().await, House::new().await.again().await.storage] {
        let a = repo("a");
        let digest = Digest::of(Algorithm::Sha512, b"hello");
        let id = storage.begin(&a).await;
        storage.add(&a, &id, None, body([b"hello"])).await.unwrap();
        let wrong = Digest::of(Algorithm::Sha512, b"other");
        let mismatch = storage.end(&a, &id, &wrong).await;
        assert!(matches!(mismatch, Err(UploadError::DigestMismatch { got }) if got == digest));
        assert_eq!(storage.end(&a, &id, &digest).await.unwrap(), 5);
        assert_eq!(storage.pull(&a, &digest).await.unwrap(), b"hello");
    }
}

#[tokio::test]
async fn what_came_before_a_break_is_kept() {
    let house = House::new().await;
    let a = repo("a");
    let id = house.storage.begin(&a).await;
    let broken = BodyError::Broken("reset".to_owned());
    let frames = [Ok(Bytes::from_static(b"one ")), Err(broken.clone())];
    let added = house
        .storage
        .add(&a, &id, None, stream::iter(frames).boxed())
        .await;
    assert!(matches!(added, Err(UploadError::Body(error)) if error == broken));
    let house = house.again().await;
    let storage = &house.storage;
    assert_eq!(storage.uploads.status(&a, OWNER, &id).await.unwrap(), 4);
    storage
        .add(&a, &id, range(4, 6), body([b"two"]))
        .await
        .unwrap();
    assert_eq!(storage.end(&a, &id, &sha256(b"one two")).await.unwrap(), 7);
}

#[tokio::test]
async fn one_request_at_a_time_works_on_a_session() {
    let storage = Arc::new(memory().await);
    let a = repo("a");
    let id = storage.begin(&a).await;
    let (sender, mut receiver) = mpsc::channel(1);
    let frames = stream::poll_fn(move |context| receiver.poll_recv(context)).boxed();
    let first = tokio::spawn({
        let (storage, a) = (Arc::clone(&storage), a.clone());
        async move { storage.add(&a, &id, None, frames).await }
    });
    // Once the second frame is taken, the first request has the session.
    sender.send(Ok(Bytes::from_static(b"one "))).await.unwrap();
    sender.send(Ok(Bytes::from_static(b"two"))).await.unwrap();
    let _ = sender.reserve().await.unwrap();
    let second = storage.add(&a, &id, None, body([b"x"])).await;
    assert!(matches!(second, Err(UploadError::Busy)));
    let ended = storage.end(&a, &id, &sha256(b"x")).await;
    assert!(matches!(ended, Err(UploadError::Busy)));
    let cancelled = storage.uploads.cancel(&a, OWNER, &id).await;
    assert!(matches!(cancelled, Err(UploadError::Busy)));
    assert_eq!(storage.uploads.purge(at(1000)).await.unwrap(), 0);
    drop(sender);
    assert_eq!(first.await.unwrap().unwrap(), 7);
    assert_eq!(storage.end(&a, &id, &sha256(b"one two")).await.unwrap(), 7);
}

#[tokio::test]
async fn bytes_that_a_dead_server_wrote_without_recording_are_cut() {
    let house = House::new().await;
    let a = repo("a");
    let id = house.storage.begin(&a).await;
    house
        .storage
        .add(&a, &id, None, body([b"good "]))
        .await
        .unwrap();
    let file = house.file(&layout::staged(&a, &id));
    std::fs::write(&file, b"good and never recorded").unwrap();
    let house = house.again().await;
    house
        .storage
        .add(&a, &id, None, body([b"end"]))
        .await
        .unwrap();
    let ended = house.storage.end(&a, &id, &sha256(b"good end")).await;
    assert_eq!(ended.unwrap(), 8);
}

/// Also when nothing more is to come: the file must not be longer than what was hashed.
#[tokio::test]
async fn unrecorded_bytes_do_not_get_into_a_blob() {
    let house = House::new().await;
    let a = repo("a");
    let id = house.storage.begin(&a).await;
    house
        .storage
        .add(&a, &id, None, body([b"good"]))
        .await
        .unwrap();
    let file = house.file(&layout::staged(&a, &id));
    std::fs::write(&file, b"good and never recorded").unwrap();
    let house = house.again().await;
    let digest = sha256(b"good");
    assert_eq!(house.storage.end(&a, &id, &digest).await.unwrap(), 4);
    assert_eq!(house.storage.pull(&a, &digest).await.unwrap(), b"good");
}

#[tokio::test]
async fn a_session_whose_bytes_are_lost_is_unknown() {
    let house = House::new().await;
    let a = repo("a");
    let (short, gone) = (house.storage.begin(&a).await, house.storage.begin(&a).await);
    for id in [&short, &gone] {
        house
            .storage
            .add(&a, id, None, body([b"good"]))
            .await
            .unwrap();
    }
    std::fs::write(house.file(&layout::staged(&a, &short)), b"go").unwrap();
    std::fs::remove_file(house.file(&layout::staged(&a, &gone))).unwrap();
    let house = house.again().await;
    for id in [&short, &gone] {
        let added = house.storage.add(&a, id, None, body([b"x"])).await;
        assert!(matches!(added, Err(UploadError::Unknown)), "{added:?}");
        let ended = house.storage.end(&a, id, &sha256(b"good")).await;
        assert!(matches!(ended, Err(UploadError::Unknown)), "{ended:?}");
    }
    assert_eq!(house.storage.pull(&a, &sha256(b"good")).await, None);
}

#[tokio::test]
async fn a_cancelled_session_leaves_nothing() {
    let house = House::new().await;
    let (storage, a) = (&house.storage, repo("a"));
    let id = storage.begin(&a).await;
    storage.add(&a, &id, None, body([b"x"])).await.unwrap();
    storage.uploads.cancel(&a, OWNER, &id).await.unwrap();
    assert!(!house.file(&layout::staged(&a, &id)).exists());
    let again = storage.uploads.cancel(&a, OWNER, &id).await;
    assert!(matches!(again, Err(UploadError::Unknown)));
}

#[tokio::test]
async fn what_is_forgotten_is_purged_and_what_goes_on_is_not() {
    let house = House::new().await;
    let (storage, a) = (&house.storage, repo("a"));
    storage.push(&a, b"so that the repository is known").await;
    let (old, new) = (storage.begin(&a).await, storage.begin(&a).await);
    storage.add(&a, &old, None, body([b"old"])).await.unwrap();
    let late = storage
        .uploads
        .append(&a, OWNER, &new, None, body([b"new"]), at(100));
    late.await.unwrap();
    // As Distribution leaves them, and as new as can be.
    let orphan = layout::staged(&a, &UploadId::from_random([9; 16]));
    let started = house.file(&orphan).with_file_name("startedat");
    std::fs::create_dir_all(started.parent().unwrap()).unwrap();
    std::fs::write(house.file(&orphan), b"orphan").unwrap();
    std::fs::write(&started, b"2026-01-01T00:00:00Z").unwrap();

    assert_eq!(storage.uploads.purge(at(50)).await.unwrap(), 1);
    assert!(!house.file(&layout::staged(&a, &old)).exists());
    assert!(house.file(&orphan).exists(), "it is younger than that");
    let status = storage.uploads.status(&a, OWNER, &new).await;
    assert_eq!(status.unwrap(), 3);

    let later = SystemTime::now() + Duration::from_secs(60);
    assert_eq!(storage.uploads.purge(later).await.unwrap(), 2);
    assert!(!started.parent().unwrap().exists());
    assert!(!house.file(&layout::staged(&a, &new)).exists());
}

/// Also in a repository that the index does not know, because the first push to it was cut off.
#[tokio::test]
async fn bytes_without_a_session_are_purged_wherever_they_are() {
    let house = House::new().await;
    let storage = &house.storage;
    let orphans = ["a", "a/b/c", "b"].map(|name| {
        let key = layout::staged(&repo(name), &UploadId::from_random([9; 16]));
        house.file(&key)
    });
    for orphan in &orphans {
        std::fs::create_dir_all(orphan.parent().unwrap()).unwrap();
        std::fs::write(orphan, b"orphan").unwrap();
    }
    let known = storage.index().all_repositories(None, 10).await.unwrap();
    assert_eq!(known, []);
    assert_eq!(storage.uploads.purge(at(50)).await.unwrap(), 0);
    let later = SystemTime::now() + Duration::from_secs(60);
    assert_eq!(storage.uploads.purge(later).await.unwrap(), 3);
    assert!(orphans.iter().all(|orphan| !orphan.exists()));
}

#[tokio::test]
async fn all_forgotten_sessions_go_at_once_but_those_that_are_worked_on() {
    /// Together more than are read at a time.
    const EACH: usize = 700;
    let storage = memory().await;
    let a = repo("a");
    for owner in ["user:bob", "user:carol", "user:dave"] {
        for _ in 0..EACH {
            let started = storage.uploads.start(&a, owner, None, at(1)).await;
            started.unwrap();
        }
    }
    let busy = storage.begin(&a).await;
    let _working = storage.uploads.busy.take(&busy).unwrap();
    let purged = storage.uploads.purge(at(50)).await.unwrap();
    assert_eq!(purged, 3 * EACH);
    assert_eq!(storage.uploads.status(&a, OWNER, &busy).await.unwrap(), 0);
}

#[tokio::test]
async fn who_forgets_every_session_is_stopped_and_nobody_else() {
    let storage = memory().await;
    let a = repo("a");
    let first = storage.begin(&a).await;
    for _ in 1..super::PER_OWNER {
        storage.begin(&a).await;
    }
    let start = |owner| storage.uploads.start(&a, owner, None, at(2));
    let refused = start(OWNER).await;
    assert!(matches!(refused, Err(UploadError::TooMany { .. })));
    start("user:bob").await.unwrap();
    storage.uploads.cancel(&a, OWNER, &first).await.unwrap();
    start(OWNER).await.unwrap();
    assert!(start(OWNER).await.is_err());
}

#[tokio::test]
async fn a_failed_whole_upload_leaves_no_bytes() {
    let house = House::new().await;
    let (storage, a) = (&house.storage, repo("a"));
    let frames = [Ok(Bytes::from_static(b"x")), Err(BodyError::Stalled)];
    let body = stream::iter(frames).boxed();
    let whole = storage
        .uploads
        .whole(&a, &sha256(b"xy"), body, None, at(1))
        .await;
    assert!(matches!(whole, Err(UploadError::Body(BodyError::Stalled))));
    let scratch = house.folder.path().join("objects").join(layout::SCRATCH);
    assert_eq!(std::fs::read_dir(scratch).unwrap().count(), 0);
}

/// CVE-2024-39897: knowing a digest gives nothing, also while others push the same bytes.
#[tokio::test(flavor = "multi_thread")]
async fn every_repository_has_its_own_view_of_a_blob() {
    let house = House::new().await;
    let storage = Arc::new(house.storage);
    for round in 0..20_u8 {
        let content: &'static [u8] = Box::leak(vec![round; 1000].into_boxed_slice());
        let digest = sha256(content);
        let pushes: Vec<_> = ["a", "b", "c/d", "e"]
            .into_iter()
            .map(|name| {
                let storage = Arc::clone(&storage);
                tokio::spawn(async move {
                    let repo = repo(name);
                    if round % 2 == 0 {
                        storage.push(&repo, content).await;
                    } else {
                        let id = storage.begin(&repo).await;
                        storage
                            .add(&repo, &id, None, body([content]))
                            .await
                            .unwrap();
                        storage.end(&repo, &id, &digest).await.unwrap();
                    }
                    assert_eq!(storage.pull(&repo, &digest).await.unwrap(), content);
                })
            })
            .collect();
        for push in pushes {
            push.await.unwrap();
        }
        let stranger = repo("stranger");
        assert_eq!(storage.pull(&stranger, &digest).await, None);
        let stat = storage.blobs.stat(&stranger, &digest).await;
        assert_eq!(stat.unwrap(), None);
        let mounted = storage
            .blobs
            .mount(&repo("into"), &stranger, &digest, at(2))
            .await;
        assert!(!mounted.unwrap());
        assert_eq!(storage.pull(&repo("into"), &digest).await, None);
        let holders = storage.blobs.holders(&digest, None, 10).await.unwrap();
        assert_eq!(holders.len(), 4);
        for name in ["a", "b", "c/d", "e"] {
            let link = layout::layer(&repo(name), &digest);
            let said = storage.store().get(&link).await.unwrap();
            assert_eq!(bytes(&said), digest.to_string().as_bytes());
        }
    }
}

/// CVE-2026-35172: what was taken out stays out, whoever reads it elsewhere.
#[tokio::test]
async fn a_blob_that_was_taken_out_is_not_seen_through_another_repository() {
    let house = House::new().await;
    let (storage, a, b) = (&house.storage, repo("a"), repo("b"));
    let digest = storage.push(&a, b"shared").await;
    assert!(storage.blobs.mount(&b, &a, &digest, at(2)).await.unwrap());
    assert_eq!(storage.pull(&a, &digest).await.unwrap(), b"shared");
    assert_eq!(
        storage.blobs.unlink(&a, &digest, at(1)).await.unwrap(),
        Unlink::Done
    );
    assert_eq!(storage.pull(&b, &digest).await.unwrap(), b"shared");
    assert_eq!(storage.pull(&a, &digest).await, None);
    assert_eq!(storage.blobs.stat(&a, &digest).await.unwrap(), None);
    assert!(!storage.blobs.mount(&a, &a, &digest, at(3)).await.unwrap());
    assert_eq!(
        storage.blobs.unlink(&a, &digest, at(1)).await.unwrap(),
        Unlink::Unknown
    );
    let house = house.again().await;
    assert_eq!(house.storage.pull(&a, &digest).await, None);
    assert_eq!(house.storage.pull(&b, &digest).await.unwrap(), b"shared");
}

#[tokio::test]
async fn pushing_again_heals_also_for_those_who_have_it_open() {
    let house = House::new().await;
    let (storage, a, b) = (&house.storage, repo("a"), repo("b"));
    let digest = storage.push(&a, b"right").await;
    assert_eq!(storage.pull(&a, &digest).await.unwrap(), b"right");
    std::fs::write(house.file(&layout::blob(&digest)), b"wrong").unwrap();
    assert_eq!(storage.pull(&a, &digest).await.unwrap(), b"wrong");
    storage.push(&b, b"right").await;
    assert_eq!(storage.pull(&a, &digest).await.unwrap(), b"right");
    std::fs::write(house.file(&layout::blob(&digest)), b"cut").unwrap();
    let house = house.again().await;
    let opened = house.storage.blobs.open(&a, &digest).await;
    assert!(matches!(opened, Err(StorageError::Corrupt { .. })));
}

/// hyper drops a request's future when its client goes away.
#[tokio::test(flavor = "multi_thread")]
async fn a_finish_that_nobody_waits_for_is_whole_or_not_begun() {
    let house = House::new().await;
    let storage = Arc::new(house.storage);
    let a = repo("a");
    for delay in 0..60 {
        let content = Bytes::from(format!("blob {delay}"));
        let digest = sha256(&content);
        let id = storage.begin(&a).await;
        let frames = stream::iter([Ok(content.clone())]).boxed();
        storage.add(&a, &id, None, frames).await.unwrap();
        let ending = storage.end(&a, &id, &digest);
        let _ = tokio::time::timeout(Duration::from_micros(delay * 50), ending).await;
        // Until nobody works on it any more.
        loop {
            match storage.end(&a, &id, &digest).await {
                Err(UploadError::Busy) => tokio::task::yield_now().await,
                Ok(_) | Err(UploadError::Unknown) => break,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(storage.pull(&a, &digest).await.unwrap(), content);
    }
}
