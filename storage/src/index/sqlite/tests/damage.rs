//! Files that are not as they should be: an error that says what to do, never a panic, never wrong content.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use tempfile::TempDir;

use crate::index::sqlite::{OpenIndexError, SqliteIndex};
use crate::index::suite::{Subject, hold, image, put, repo};
use crate::{Index as _, StorageError};

/// A closed index of some hundred pages.
async fn filled() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.sqlite");
    let index: Subject = Arc::new(SqliteIndex::open(&path).unwrap());
    for number in 0..300 {
        hold(&index, &repo("a"), &[number]).await;
        let name = format!("v{number}");
        put(&index, &repo("a"), &image(number, &[]), &[&name]).await;
    }
    (folder, path)
}

fn cut(path: &Path, length: u64) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(length).unwrap();
}

#[tokio::test]
async fn a_cut_file_is_torn() {
    let (_folder, path) = filled().await;
    let length = fs::metadata(&path).unwrap().len();
    for keep in [length - 1, length / 2, 4096, 100, 10] {
        cut(&path, keep);
        let error = SqliteIndex::open(&path).unwrap_err();
        assert!(
            matches!(error, OpenIndexError::TornIndex { .. }),
            "{keep}: {error}"
        );
        assert!(error.to_string().contains("slipway storage reindex"));
    }
}

#[tokio::test]
async fn text_is_no_index() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.sqlite");
    fs::write(
        &path,
        "this is a text of more than a hundred bytes. ".repeat(5),
    )
    .unwrap();
    let error = SqliteIndex::open(&path).unwrap_err();
    assert!(matches!(error, OpenIndexError::TornIndex { .. }), "{error}");
    let error = SqliteIndex::open_beside_server(&path).unwrap_err();
    assert!(matches!(error, OpenIndexError::TornIndex { .. }), "{error}");
}

#[tokio::test]
async fn another_programs_database_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.sqlite");
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE precious (x)").unwrap();
    drop(other);
    let before = fs::read(&path).unwrap();
    let error = SqliteIndex::open(&path).unwrap_err();
    assert!(matches!(error, OpenIndexError::Foreign { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_newer_index_is_left_alone() {
    let (_folder, path) = filled().await;
    let newer = Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    let before = fs::read(&path).unwrap();
    let error = SqliteIndex::open(&path).unwrap_err();
    assert!(
        matches!(error, OpenIndexError::NewerSchema { found: 99, .. }),
        "{error}"
    );
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_missing_index_is_not_made_by_looking() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.sqlite");
    let error = SqliteIndex::open_beside_server(&path).unwrap_err();
    assert!(matches!(error, OpenIndexError::Missing { .. }), "{error}");
    assert!(!path.exists());
    // Nor is a folder that is not there.
    let error = SqliteIndex::open(&folder.path().join("no/index.sqlite")).unwrap_err();
    assert!(matches!(error, OpenIndexError::Io { .. }), "{error}");
}

/// Every page is overwritten in turn. Whatever is asked then either is answered as before, or is an error that names
/// the damage; and the check of the whole file finds it.
#[tokio::test]
async fn no_damaged_page_is_believed() {
    let (folder, path) = filled().await;
    let whole = fs::read(&path).unwrap();
    let expected = {
        let index = SqliteIndex::open(&path).unwrap();
        index.tags(&repo("a"), None, 1_000).await.unwrap()
    };
    for page in 0..whole.len() / 4096 {
        let mut damaged = whole.clone();
        damaged[page * 4096..(page + 1) * 4096].fill(0xA5);
        let path = folder.path().join("damaged.sqlite");
        fs::write(&path, damaged).unwrap();
        let index = match SqliteIndex::open(&path) {
            Ok(index) => index,
            Err(OpenIndexError::TornIndex { .. }) => continue,
            Err(error) => panic!("page {page}: {error}"),
        };
        match index.tags(&repo("a"), None, 1_000).await {
            Ok(tags) => assert_eq!(tags, expected, "page {page}"),
            Err(StorageError::Corrupt { what }) => assert!(what.contains("reindex")),
            Err(error) => panic!("page {page}: {error}"),
        }
        match index.damage().await {
            Ok(found) => assert!(!found.is_empty(), "page {page} was not missed"),
            Err(StorageError::Corrupt { .. }) => {}
            Err(error) => panic!("page {page}: {error}"),
        }
    }
}
