//! The suite over an index in a file, and what only a file can do.

use std::sync::{Arc, Mutex};

use rusqlite::Connection;
use tempfile::TempDir;

use crate::audit::Groups;
use crate::index::sqlite::{Sync, rebuild, schema};
use crate::index::suite::{BLOB_SIZE, Subject, at, blob, hold, image, put, repo, tag, then};
use crate::index::{KeptToken, WhenFull};
use crate::{Index as _, SqliteIndex, StorageError};

fn open() -> (Subject, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (reopen(&folder), folder)
}

fn reopen(folder: &TempDir) -> Subject {
    Arc::new(SqliteIndex::open(&folder.path().join("index.sqlite")).unwrap())
}

crate::index_suite!(open());

#[tokio::test]
async fn what_was_recorded_is_there_after_opening_again() {
    let (index, folder) = open();
    hold(&index, &repo("a"), &[1]).await;
    put(&index, &repo("a"), &image(1, &[]), &["v1"]).await;
    drop(index);
    let index = reopen(&folder);
    assert!(index.tag(&repo("a"), &tag("v1")).await.unwrap().is_some());
    assert_eq!(index.journal(0, 10).await.unwrap().len(), 3);
    drop(index);
    let kept: Vec<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(kept, ["index.sqlite"], "closing leaves one file");
}

/// As earlier programs left it.
#[tokio::test]
async fn an_older_file_gets_what_it_lacks_and_keeps_what_it_has() {
    const ROWS: [&str; 5] = [
        "INSERT INTO meta VALUES ('kept', 'yes')",
        "INSERT INTO tokens (id, kind, owner, hash, created, expires, used, document)
             VALUES ('a', 'api', 'ada', x'07', 1000, 9000, NULL, '{}')",
        "INSERT INTO audit (id, class, at, request, user, provider, uid, credential, credential_id, client, agent, verb,
             namespace, repository, reference, digest, previous, outcome, status, reason) VALUES (4, 'change', 1000, 'r-1', 'ada', 'htpasswd', NULL, 'basic', NULL, NULL, NULL, 'push',
             'team', 'team/app', 'v1', NULL, NULL, 'allowed', 201, NULL)",
        "",
        "INSERT INTO records (kind, namespace, name, revision, open, body) VALUES ('run', 'team', 'a', 3, 1, x'07')",
    ];
    for steps in 1..schema::known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index.sqlite");
        let file = Connection::open(&path).unwrap();
        schema::older(&file, steps).unwrap();
        for row in ROWS.iter().take(steps) {
            file.execute_batch(row).unwrap();
        }
        drop(file);
        assert!(
            SqliteIndex::open_beside_server(&path).is_err(),
            "it is not changed by looking"
        );
        let index = reopen(&folder);
        let tokens = index.all_tokens(None, 2).await.unwrap();
        assert_eq!(tokens.len(), usize::from(steps >= 2), "{steps}");
        assert!(tokens.iter().all(|token| token.revoked.is_none()));
        let rows = index.audit_since(0, 2).await.unwrap();
        assert_eq!(rows.len(), usize::from(steps >= 3), "{steps}");
        let briefs = index.briefs("run", "team", "", None, 2).await.unwrap();
        assert_eq!(briefs.len(), usize::from(steps >= 5), "{steps}");
        for brief in briefs {
            assert_eq!((brief.name.as_str(), brief.brief), ("a", None));
        }
        for row in rows {
            assert_eq!((row.id, row.entry.origin.user.as_str()), (4, "ada"));
            assert_eq!(row.entry.origin.groups, Groups::default());
        }
        drop(index);
        let file = Connection::open(&path).unwrap();
        let kept: String = file
            .query_row("SELECT value FROM meta WHERE key = 'kept'", [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(kept, "yes", "{steps}");
    }
}

/// Somebody who makes and revokes for ever fills no file.
#[tokio::test]
async fn of_what_an_owner_revoked_the_last_hundred_are_known() {
    let (index, _folder) = open();
    for number in 0..102_u64 {
        let token = KeptToken {
            id: format!("{number:03}"),
            kind: "api".to_owned(),
            owner: "ada".to_owned(),
            hash: Vec::new(),
            created: at(1),
            expires: at(1_000),
            used: None,
            revoked: None,
            document: "{}".to_owned(),
        };
        let added = index.add_token(&token, 1, WhenFull::Refuse, at(2)).await;
        assert!(added.unwrap(), "{number}");
        let revoked = index.revoke_token(None, &token.id, at(3 + number)).await;
        assert!(revoked.unwrap(), "{number}");
    }
    let kept = index.all_tokens(None, 200).await.unwrap();
    assert_eq!(kept.len(), 100);
    assert_eq!(kept[0].id, "002", "the oldest went");
}

/// Members of one batch do not know of each other: one that fails takes nothing with it.
/// Queued behind a change that must be synced, they are committed and answered before it.
#[tokio::test(flavor = "multi_thread")]
async fn soft_facts_do_not_wait_for_the_sync_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let index = Arc::new(SqliteIndex::open(&folder.path().join("index.sqlite")).unwrap());
    let (started, is_started) = std::sync::mpsc::channel();
    let (release, held) = std::sync::mpsc::channel();
    let busy = tokio::spawn({
        let index = Arc::clone(&index);
        async move {
            let work = move |_: &Connection| {
                started.send(()).unwrap();
                held.recv().unwrap();
                Ok(())
            };
            index.write(Sync::Soft, work).await
        }
    });
    tokio::task::spawn_blocking(move || is_started.recv().unwrap())
        .await
        .unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let note = |sync| {
        let order = Arc::clone(&order);
        index.write(sync, move |_| {
            order.lock().unwrap().push(sync);
            Ok(())
        })
    };
    let queued = tokio::join!(note(Sync::Durable), note(Sync::Soft), async {
        release.send(()).unwrap();
    });
    queued.0.unwrap();
    queued.1.unwrap();
    busy.await.unwrap().unwrap();
    assert_eq!(*order.lock().unwrap(), [Sync::Soft, Sync::Durable]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_change_spoils_no_other() {
    let (index, _folder) = open();
    let session = crate::index::Session {
        id: oci::UploadId::from_random([1; 16]),
        repo: repo("a"),
        owner: String::new(),
        offset: 0,
        hashers: Vec::new(),
        touched: at(1),
    };
    let mut waiting = Vec::new();
    for number in 0..100 {
        let (index, session) = (Arc::clone(&index), session.clone());
        waiting.push(tokio::spawn(async move {
            // The session's second creation breaks its primary key.
            let created = index.create_upload(&session, 1_000).await.is_ok();
            hold(&index, &repo("a"), &[number]).await;
            created
        }));
    }
    let mut created = 0;
    for waiting in waiting {
        created += usize::from(waiting.await.unwrap());
    }
    assert_eq!(created, 1);
    assert_eq!(
        index.layers(&repo("a"), None, 1_000).await.unwrap().len(),
        100
    );
}

#[tokio::test]
async fn beside_a_server_one_may_look_but_not_touch() {
    let (index, folder) = open();
    hold(&index, &repo("a"), &[1]).await;
    let path = folder.path().join("index.sqlite");
    let beside = SqliteIndex::open_beside_server(&path).unwrap();
    assert_eq!(
        beside.blob(&repo("a"), &blob(1)).await.unwrap(),
        Some(BLOB_SIZE)
    );
    let refused = beside
        .link_blob(&repo("a"), &blob(2), 1, None, then())
        .await;
    assert!(matches!(refused, Err(StorageError::ReadOnly)));
    // It sees what the server does meanwhile.
    hold(&index, &repo("a"), &[2]).await;
    assert_eq!(
        beside.blob(&repo("a"), &blob(2)).await.unwrap(),
        Some(BLOB_SIZE)
    );
}

#[tokio::test]
async fn a_rebuilt_index_replaces_the_old_one_and_its_log() {
    let (index, folder) = open();
    let path = folder.path().join("index.sqlite");
    hold(&index, &repo("old"), &[1]).await;
    // As a killed server leaves it: a log that was not moved into the file.
    let log = std::fs::read(folder.path().join("index.sqlite-wal")).unwrap();
    assert!(!log.is_empty());
    drop(index);
    std::fs::write(folder.path().join("index.sqlite-wal"), log).unwrap();

    let new = rebuild(&path).unwrap();
    let (name, digest) = (repo("new"), blob(2));
    let linked = new.index().link_blob(&name, &digest, 1, None, then());
    linked.await.unwrap();
    new.put_in_place().unwrap();
    let index = reopen(&folder);
    assert_eq!(index.blob(&repo("old"), &blob(1)).await.unwrap(), None);
    assert_eq!(index.blob(&repo("new"), &blob(2)).await.unwrap(), Some(1));
    assert_eq!(index.damage().await.unwrap(), [""; 0]);
}

/// A process that dies loses nothing that it acknowledged, soft or durable: here its file and log are copied as they
/// are while it lives.
#[tokio::test]
async fn a_killed_process_loses_nothing() {
    let (index, folder) = open();
    for number in 0..50 {
        hold(&index, &repo("a"), &[number]).await;
        let after = tempfile::tempdir().unwrap();
        for file in ["index.sqlite", "index.sqlite-wal"] {
            std::fs::copy(folder.path().join(file), after.path().join(file)).unwrap();
        }
        let beside = SqliteIndex::open_beside_server(&after.path().join("index.sqlite")).unwrap();
        let held = beside.layers(&repo("a"), None, 100).await.unwrap();
        assert_eq!(
            held.len() as u64,
            number + 1,
            "looked at before anybody mends it"
        );
        drop(beside);
        let survivor = reopen(&after);
        let held = survivor.layers(&repo("a"), None, 100).await.unwrap();
        assert_eq!(held.len() as u64, number + 1);
    }
}

#[test]
fn no_row_of_the_audit_record_can_be_changed() {
    let connection = crate::index::sqlite::open::memory().unwrap();
    let insert =
        "INSERT INTO audit (class, at, request, user, provider, credential, verb, outcome, status)
        VALUES ('change', 1, '', 'ada', '', 'none', 'push', 'allowed', 201)";
    connection.execute(insert, []).unwrap();
    let error = connection
        .execute("UPDATE audit SET user = 'bob'", [])
        .unwrap_err();
    assert!(error.to_string().contains("never changed"), "{error}");
}
