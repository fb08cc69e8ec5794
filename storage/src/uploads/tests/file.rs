//! Blobs that come as files of this process.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::{House, LIMIT, at, memory, repo, sha256};
use crate::{UploadError, layout};

/// A file without a name in a folder.
pub(super) fn unnamed(folder: &Path, content: &[u8]) -> File {
    let mut file = tempfile::tempfile_in(folder).unwrap();
    file.write_all(content).unwrap();
    file
}

fn scratch(house: &House) -> usize {
    let scratch = house.folder.path().join("objects").join(layout::SCRATCH);
    std::fs::read_dir(scratch).unwrap().count()
}

#[tokio::test]
async fn a_file_becomes_the_blob_itself_where_it_is_on_the_same_disk() {
    let house = House::new().await;
    let (storage, a) = (&house.storage, repo("a"));
    let file = unnamed(house.folder.path(), b"built");
    let inode = file.metadata().unwrap().ino();
    let digest = sha256(b"built");
    let size = storage.uploads.file(&a, &digest, file, at(1)).await;
    assert_eq!(size.unwrap(), 5);
    assert_eq!(storage.pull(&a, &digest).await.unwrap(), b"built");
    let blob = std::fs::metadata(house.file(&layout::blob(&digest))).unwrap();
    assert_eq!((blob.ino(), blob.nlink()), (inode, 1));
    // Once more, as by another build, and after a crash.
    let again = unnamed(house.folder.path(), b"built");
    let b = repo("b");
    let put = storage.uploads.file(&b, &digest, again, at(2));
    put.await.unwrap();
    let house = house.again().await;
    for name in ["a", "b"] {
        let pulled = house.storage.pull(&repo(name), &digest).await;
        assert_eq!(pulled.unwrap(), b"built");
    }
    assert_eq!(scratch(&house), 0);
}

/// A disk of its own, one that had a name, a store that has no files.
#[tokio::test]
async fn a_file_that_cannot_become_the_blob_is_copied() {
    let house = House::new().await;
    let a = repo("a");
    // More than is read at a time.
    let most = usize::try_from(LIMIT).unwrap();
    let small: Vec<u8> = (0..=250).cycle().take(most).collect();
    let digest = sha256(&small);
    let named = tempfile::NamedTempFile::new_in(house.folder.path()).unwrap();
    let mut had_a_name = named.reopen().unwrap();
    had_a_name.write_all(&small).unwrap();
    drop(named);
    let put = house.storage.uploads.file(&a, &digest, had_a_name, at(1));
    put.await.unwrap();
    assert!(house.storage.pull(&a, &digest).await.unwrap() == small);
    assert_eq!(scratch(&house), 0);
    let elsewhere = Path::new("/dev/shm");
    if elsewhere.is_dir() {
        let digest = sha256(b"elsewhere");
        let file = unnamed(elsewhere, b"elsewhere");
        let put = house.storage.uploads.file(&a, &digest, file, at(1));
        put.await.unwrap();
        let pulled = house.storage.pull(&a, &digest).await;
        assert_eq!(pulled.unwrap(), b"elsewhere");
    } else {
        println!("skipped: there is no /dev/shm");
    }
    let storage = memory().await;
    let file = unnamed(house.folder.path(), &small);
    storage
        .uploads
        .file(&a, &digest, file, at(1))
        .await
        .unwrap();
    assert!(storage.pull(&a, &digest).await.unwrap() == small);
}

#[tokio::test]
async fn a_file_of_another_digest_or_too_large_is_refused_and_leaves_nothing() {
    let house = House::new().await;
    let (storage, a) = (&house.storage, repo("a"));
    let wanted = sha256(b"built");
    let file = unnamed(house.folder.path(), b"other");
    let put = storage.uploads.file(&a, &wanted, file, at(1));
    let got = put.await.unwrap_err();
    assert!(matches!(got, UploadError::DigestMismatch { got } if got == sha256(b"other")));
    let file = unnamed(house.folder.path(), b"");
    file.set_len(LIMIT + 1).unwrap();
    let put = storage.uploads.file(&a, &wanted, file, at(1));
    assert!(matches!(
        put.await,
        Err(UploadError::TooLarge { limit: LIMIT })
    ));
    for digest in [wanted, sha256(b"other")] {
        assert!(storage.pull(&a, &digest).await.is_none());
    }
    assert_eq!(scratch(&house), 0);
}
