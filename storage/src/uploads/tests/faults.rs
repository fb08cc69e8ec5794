//! Every call to the store fails once, in every way; nothing that was acknowledged may be lost, and what failed must work
//! when it is tried again.

use std::sync::Arc;

use oci::{Digest, UploadId};
use tempfile::TempDir;

use super::file::unnamed;
use super::{LIMIT, OWNER, at, body, bytes, range, repo, sha256, unlocked};
use crate::faulty::{Fault, FaultyStore};
use crate::fsck::{Options, fsck};
use crate::{Index, Limits, ObjectStore, SqliteIndex, Storage, UploadError};

/// What clients were told.
#[derive(Default)]
struct Told {
    session: Option<UploadId>,
    held: Vec<(&'static str, Digest)>,
    refused: usize,
}

impl Told {
    fn note(&mut self, repo: &'static str, digest: Digest, answer: &Result<u64, UploadError>) {
        match answer {
            Ok(_) => self.held.push((repo, digest)),
            Err(_) => self.refused += 1,
        }
    }
}

/// A blob in chunks, a whole one, an empty one, a mount, an unlink.
async fn deeds(storage: &Storage) -> Told {
    let mut told = Told::default();
    let (a, b, uploads) = (repo("a"), repo("b"), &storage.uploads);
    if let Ok(id) = uploads.start(&a, OWNER, None, at(1)).await {
        told.session = Some(id);
        let _ = uploads
            .append(&a, OWNER, &id, range(0, 3), body([b"one "]), at(2))
            .await;
        let have = uploads.status(&a, OWNER, &id).await.unwrap_or(0);
        let tail: &[u8] = if have == 0 { b"one two" } else { b"two" };
        let tail = Some((None, body([tail])));
        let digest = sha256(b"one two");
        let finished = uploads.finish(&a, OWNER, &id, &digest, tail, at(3)).await;
        told.note("a", digest, &finished);
    }
    let whole = uploads
        .whole(&b, &sha256(b"whole"), body([b"whole"]), Some(5), at(4))
        .await;
    told.note("b", sha256(b"whole"), &whole);
    let empty = uploads
        .whole(&b, &sha256(b""), body([]), Some(0), at(5))
        .await;
    told.note("b", sha256(b""), &empty);
    let file = unnamed(&std::env::temp_dir(), b"built");
    let built = uploads.file(&b, &sha256(b"built"), file, at(5)).await;
    told.note("b", sha256(b"built"), &built);
    match storage.blobs.mount(&a, &b, &sha256(b"whole"), at(6)).await {
        Ok(true) => told.held.push(("a", sha256(b"whole"))),
        _ => told.refused += 1,
    }
    if storage.blobs.unlink(&b, &sha256(b""), at(1)).await.is_ok() {
        told.held.retain(|held| *held != ("b", sha256(b"")));
    }
    told
}

/// As a client that starts over: finish what is still there, else push anew.
async fn again(storage: &Storage, told: &Told) {
    let (a, b, uploads) = (repo("a"), repo("b"), &storage.uploads);
    let digest = sha256(b"one two");
    if let Some(id) = &told.session {
        match uploads.finish(&a, OWNER, id, &digest, None, at(7)).await {
            Ok(_) | Err(UploadError::Unknown | UploadError::DigestMismatch { .. }) => {}
            Err(error) => panic!("a session is not finished: {error:?}"),
        }
    }
    for (repo, content) in [
        (&a, &b"one two"[..]),
        (&b, b"whole"),
        (&a, b"whole"),
        (&b, b"built"),
    ] {
        let pushed = uploads
            .whole(repo, &sha256(content), body([content]), None, at(8))
            .await;
        pushed.unwrap();
    }
}

async fn open(store: Arc<dyn ObjectStore>, folder: &TempDir) -> Storage {
    let index = SqliteIndex::open(&folder.path().join("index.db")).unwrap();
    let index: Arc<dyn Index> = Arc::new(index);
    let limits = Limits {
        max_blob_bytes: LIMIT,
        ..Limits::default()
    };
    Storage::open(store, index, limits).await.unwrap()
}

async fn check(storage: &Storage, told: &Told, what: &str) {
    for (name, digest) in &told.held {
        let object = storage.blobs.open(&repo(name), digest).await.unwrap();
        let object = object.unwrap_or_else(|| panic!("{what}: {digest} of {name} is lost"));
        assert_eq!(sha256(&bytes(&object)), *digest, "{what}");
    }
    let options = Options {
        deep: true,
        ..Options::default()
    };
    let report = fsck(storage.store(), storage.index(), options, &|_| ()).await;
    let report = report.unwrap();
    assert!(report.is_clean(), "{what}: {:?}", report.findings);
}

#[tokio::test]
async fn every_call_may_fail_once_in_every_way() {
    for fault in [Fault::Before, Fault::After, Fault::FromHereOn] {
        let mut n = 1;
        loop {
            let what = format!("{fault:?} at call {n}");
            let folder = tempfile::tempdir().unwrap();
            let files = unlocked(&folder).await;
            let faulty = Arc::new(FaultyStore::new(Arc::new(files), fault));
            let told = {
                let storage = open(faulty.clone(), &folder).await;
                faulty.fail_at(n);
                deeds(&storage).await
            };
            let has_failed = faulty.failed() > 0;
            assert!(has_failed || told.refused == 0, "{what}");
            drop(faulty);
            // A crash, and a disk that works again.
            let files = unlocked(&folder).await;
            let storage = open(Arc::new(files), &folder).await;
            check(&storage, &told, &what).await;
            again(&storage, &told).await;
            check(&storage, &told, &format!("{what}, again")).await;
            if !has_failed {
                break;
            }
            n += 1;
        }
        assert!(n > 8, "only {n} calls were tried");
    }
}

/// The last bytes need not be sent again.
#[tokio::test]
async fn a_finish_that_failed_after_its_bytes_came_can_be_repeated_without_them() {
    for fault in [Fault::Before, Fault::After] {
        let folder = tempfile::tempdir().unwrap();
        let files = unlocked(&folder).await;
        let faulty = Arc::new(FaultyStore::new(Arc::new(files), fault));
        let storage = open(faulty.clone(), &folder).await;
        let (a, uploads) = (repo("a"), &storage.uploads);
        let id = uploads.start(&a, OWNER, None, at(1)).await.unwrap();
        let added = uploads.append(&a, OWNER, &id, None, body([b"first "]), at(1));
        added.await.unwrap();
        let digest = sha256(b"first last");
        // The append is the first call.
        faulty.fail_at(2);
        let tail = Some((None, body([b"last"])));
        let first = uploads.finish(&a, OWNER, &id, &digest, tail, at(2)).await;
        assert!(matches!(first, Err(UploadError::Storage(_))));
        assert_eq!(faulty.failed(), 1);
        faulty.fail_at(0);
        assert_eq!(uploads.status(&a, OWNER, &id).await.unwrap(), 10);
        let second = uploads.finish(&a, OWNER, &id, &digest, None, at(3)).await;
        assert_eq!(second.unwrap(), 10);
    }
}

/// The bytes got their name, the answer got lost: the client's second try must be told yes.
#[tokio::test]
async fn a_finish_whose_answer_got_lost_can_be_repeated() {
    for fault in [Fault::Before, Fault::After] {
        let folder = tempfile::tempdir().unwrap();
        let files = unlocked(&folder).await;
        let faulty = Arc::new(FaultyStore::new(Arc::new(files), fault));
        let storage = open(faulty.clone(), &folder).await;
        let (a, uploads) = (repo("a"), &storage.uploads);
        let id = uploads.start(&a, OWNER, None, at(1)).await.unwrap();
        let digest = sha256(b"bytes");
        let added = uploads.append(&a, OWNER, &id, None, body([b"bytes"]), at(1));
        added.await.unwrap();
        faulty.fail_at(1);
        let first = uploads.finish(&a, OWNER, &id, &digest, None, at(2)).await;
        assert!(matches!(first, Err(UploadError::Storage(_))));
        assert_eq!(faulty.failed(), 1);
        faulty.fail_at(0);
        let second = uploads.finish(&a, OWNER, &id, &digest, None, at(3)).await;
        assert_eq!(second.unwrap(), 5);
    }
}

/// Neither who cancels nor who purges may take the bytes away from under a name that they are being given, nor the
/// session from under a client that went away and comes back.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_published_cannot_be_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let files = unlocked(&folder).await;
    let faulty = Arc::new(FaultyStore::new(Arc::new(files), Fault::Before));
    let storage = Arc::new(open(faulty.clone(), &folder).await);
    let (a, uploads, digest) = (repo("a"), &storage.uploads, sha256(b"bytes"));
    let id = uploads.start(&a, OWNER, None, at(1)).await.unwrap();
    let added = uploads.append(&a, OWNER, &id, None, body([b"bytes"]), at(1));
    added.await.unwrap();
    let held = faulty.publishing().shut().await;
    let finishing = tokio::spawn({
        let (storage, a) = (Arc::clone(&storage), a.clone());
        async move {
            let finish = storage.uploads.finish(&a, OWNER, &id, &digest, None, at(2));
            finish.await
        }
    });
    faulty.publishing().visited().await;
    for is_there in [true, false] {
        let cancelled = uploads.cancel(&a, OWNER, &id).await;
        assert!(matches!(cancelled, Err(UploadError::Busy)), "{is_there}");
        let again = uploads.finish(&a, OWNER, &id, &digest, None, at(3)).await;
        assert!(matches!(again, Err(UploadError::Busy)), "{is_there}");
        assert_eq!(uploads.purge(at(1000)).await.unwrap(), 0);
        // hyper drops the request when its client goes away; the work goes on.
        finishing.abort();
    }
    assert!(finishing.await.unwrap_err().is_cancelled());
    drop(held);
    let cancelled = loop {
        match uploads.cancel(&a, OWNER, &id).await {
            Err(UploadError::Busy) => tokio::task::yield_now().await,
            other => break other,
        }
    };
    assert!(matches!(cancelled, Err(UploadError::Unknown)));
    let object = storage.blobs.open(&a, &digest).await.unwrap().unwrap();
    assert_eq!(bytes(&object), b"bytes");
}
