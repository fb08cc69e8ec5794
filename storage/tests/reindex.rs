//! The index is made again from the objects, whatever state they are in.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod house;

use std::fs;
use std::time::Duration;

use house::{
    House, dump_file, image, manifest, now, nowhere, push_blob, push_image, put, repo, sha256, tag,
};
use oci::{Algorithm, Digest, MediaType, Reference, UploadId};
use serde_json::json;
use storage::fsck::{Kind, Options};
use storage::index::{Fact, KeptToken, LinkState, Record, RecordKey};
use storage::reindex::{self, ReindexError, Reindexed, reindex};
use storage::{OpenError, Storage, layout};

const APP: &str = "a/b/c/d/e/app";

async fn furnished() -> House {
    let house = House::new();
    let storage = house.open().await;
    push_image(&storage, &repo(APP), "one", Algorithm::Sha256, &[tag("v1")]).await;
    push_image(
        &storage,
        &repo("app"),
        "two",
        Algorithm::Sha512,
        &[tag("v2")],
    )
    .await;
    storage.close().await.unwrap();
    drop(storage);
    house
}

fn one() -> Digest {
    image("one", Algorithm::Sha256).digest()
}

async fn deep(house: &House) -> Reindexed {
    let options = reindex::Options {
        deep: true,
        ..reindex::Options::default()
    };
    let (store, index) = (house.store(), house.index_file());
    reindex(&store, &index, options, now(), &|_| {})
        .await
        .unwrap()
}

fn kinds(reindexed: &Reindexed) -> Vec<&'static str> {
    reindexed
        .findings
        .kinds
        .keys()
        .map(|kind| kind.id())
        .collect()
}

async fn served(storage: &Storage, name: &str, named: &str) -> Option<Digest> {
    let reference = Reference::Tag(tag(named));
    let found = storage.catalog.manifest(&repo(name), &reference).await;
    found.unwrap().map(|manifest| manifest.digest)
}

#[tokio::test]
async fn a_lost_index_is_made_again() {
    let house = furnished().await;
    let before = dump_file(&house.index_file()).await;
    fs::remove_file(house.index_file()).unwrap();
    let reindexed = deep(&house).await;
    assert_eq!(kinds(&reindexed), [""; 0]);
    let recorded = reindexed.recorded;
    assert_eq!((recorded.repositories, recorded.blobs), (2, 6));
    assert_eq!(
        (recorded.layers, recorded.manifests, recorded.tags),
        (4, 2, 2)
    );
    assert!(recorded.hashed_bytes > 0);
    assert_eq!(dump_file(&house.index_file()).await, before);
    let storage = house.open().await;
    assert_eq!(served(&storage, APP, "v1").await, Some(one()));
}

/// A log that stays beside would be played into the new file.
#[tokio::test]
async fn nothing_of_the_old_index_comes_into_the_new() {
    let house = furnished().await;
    let before = dump_file(&house.index_file()).await;
    let objects = house.copy();
    let storage = house.open().await;
    push_image(
        &storage,
        &repo("late"),
        "late",
        Algorithm::Sha256,
        &[tag("v1")],
    )
    .await;
    // As a kill leaves it: with its log, of which the file has nothing yet.
    for suffix in ["", "-wal", "-shm"] {
        let name = format!("index.db{suffix}");
        let from = house.index_file().with_file_name(&name);
        fs::copy(from, objects.index_file().with_file_name(&name)).unwrap();
    }
    drop(storage);
    let log = objects.index_file().with_file_name("index.db-wal");
    assert!(fs::metadata(log).unwrap().len() > 0);
    let options = reindex::Options {
        discard_journal: true,
        ..reindex::Options::default()
    };
    let (store, index) = (objects.store(), objects.index_file());
    reindex(&store, &index, options, now(), &|_| {})
        .await
        .unwrap();
    assert_eq!(dump_file(&objects.index_file()).await, before);
    let mut files: Vec<_> = fs::read_dir(objects.index_file().parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with("-shm") && !name.ends_with("-wal"))
        .collect();
    files.sort();
    assert_eq!(files, ["index.db", "objects"]);
}

#[tokio::test]
async fn a_damaged_index_is_replaced() {
    let house = furnished().await;
    let before = dump_file(&house.index_file()).await;
    for damage in ["", "no database at all", "SQLite format 3\0 cut"] {
        fs::write(house.index_file(), damage).unwrap();
        house.reindex().await;
        assert_eq!(dump_file(&house.index_file()).await, before, "{damage:?}");
    }
}

/// Whenever this is stopped, there is the old index or the new one.
#[tokio::test(flavor = "multi_thread")]
async fn there_is_an_index_at_any_time() {
    let house = furnished().await;
    let file = house.index_file();
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut looks = 0_u64;
            while !is_over.load(std::sync::atomic::Ordering::SeqCst) {
                assert!(file.exists());
                looks += 1;
            }
            looks
        });
        tokio::task::block_in_place(|| {
            let runtime = tokio::runtime::Handle::current();
            for _ in 0..10 {
                runtime.block_on(house.reindex());
            }
        });
        is_over.store(true, std::sync::atomic::Ordering::SeqCst);
        assert!(looking.join().unwrap() > 0);
    });
}

#[tokio::test]
async fn a_failure_leaves_the_old_index() {
    let house = furnished().await;
    let before = dump_file(&house.index_file()).await;
    // A link that points to itself cannot be read, which is not the same as not being there.
    let link = house.file(&layout::revision(&repo(APP), &one()));
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(&link, &link).unwrap();
    let (store, index) = (house.store(), house.index_file());
    let options = reindex::Options::default();
    let failed = reindex(&store, &index, options, now(), &|_| {}).await;
    assert!(
        matches!(failed, Err(ReindexError::Storage(_))),
        "{failed:?}"
    );
    assert_eq!(dump_file(&house.index_file()).await, before);
}

/// Takes from the objects what only links say, as if it had never been written: the index has it in its journal.
async fn late_push_and_deletion(house: &House) {
    let storage = house.open().await;
    push_image(
        &storage,
        &repo("late"),
        "late",
        Algorithm::Sha256,
        &[tag("v1")],
    )
    .await;
    let deleted = storage
        .catalog
        .delete_tag(&repo(APP), &tag("v1"), now())
        .await;
    assert!(deleted.unwrap());
    drop(storage);
    fs::remove_dir_all(house.objects().join("docker/registry/v2/repositories/late")).unwrap();
    house.write(
        &layout::tag_current(&repo(APP), &tag("v1")),
        one().to_string(),
    );
}

#[tokio::test]
async fn what_was_acknowledged_survives_though_its_links_were_never_written() {
    let house = furnished().await;
    late_push_and_deletion(&house).await;
    let before = dump_file(&house.index_file()).await;
    let reindexed = house.reindex().await;
    assert_eq!(kinds(&reindexed), [""; 0]);
    assert_eq!(dump_file(&house.index_file()).await, before);
    let storage = house.open().await;
    let late = image("late", Algorithm::Sha256).digest();
    assert_eq!(served(&storage, "late", "v1").await, Some(late));
    assert_eq!(served(&storage, APP, "v1").await, None);
}

#[tokio::test]
async fn links_that_cannot_be_written_keep_the_old_index() {
    let house = furnished().await;
    late_push_and_deletion(&house).await;
    let before = dump_file(&house.index_file()).await;
    // A file where the folder of the repository must be.
    let blocked = "docker/registry/v2/repositories/late";
    house.write_at(blocked, "");
    let (store, index) = (house.store(), house.index_file());
    let options = reindex::Options::default();
    let refused = reindex(&store, &index, options, now(), &|_| {}).await;
    let Err(ReindexError::Unsettled { links }) = refused else {
        panic!("{refused:?}");
    };
    // Of two layers, a revision and a tag.
    assert_eq!(links, 4);
    assert_eq!(dump_file(&index).await, before);
    // Whoever says so loses them.
    let options = reindex::Options {
        discard_journal: true,
        ..options
    };
    reindex(&store, &index, options, now(), &|_| {})
        .await
        .unwrap();
    fs::remove_file(house.objects().join(blocked)).unwrap();
    let storage = house.open().await;
    assert_eq!(served(&storage, "late", "v1").await, None);
}

/// A damaged index is not believed that a link must go; but it knows that some are out of date.
#[tokio::test]
async fn a_damaged_index_with_a_journal_is_replaced_only_on_demand() {
    let house = furnished().await;
    late_push_and_deletion(&house).await;
    let connection = rusqlite::Connection::open(house.index_file()).unwrap();
    let damage = "PRAGMA foreign_keys = 0; DELETE FROM manifests";
    connection.execute_batch(damage).unwrap();
    drop(connection);
    let (store, index) = (house.store(), house.index_file());
    let options = reindex::Options::default();
    let refused = reindex(&store, &index, options, now(), &|_| {}).await;
    assert!(
        matches!(refused, Err(ReindexError::Untrusted { .. })),
        "{refused:?}"
    );
    let link = house.file(&layout::tag_current(&repo(APP), &tag("v1")));
    assert!(link.exists());
    let options = reindex::Options {
        discard_journal: true,
        ..options
    };
    reindex(&store, &index, options, now(), &|_| {})
        .await
        .unwrap();
    let storage = house.open().await;
    assert_eq!(served(&storage, APP, "v1").await, Some(one()));
}

/// Another program's database is none of ours to replace.
#[tokio::test]
async fn a_foreign_database_stays() {
    let house = furnished().await;
    let connection = rusqlite::Connection::open(house.index_file()).unwrap();
    connection.pragma_update(None, "application_id", 7).unwrap();
    drop(connection);
    let (store, index) = (house.store(), house.index_file());
    let options = reindex::Options::default();
    let refused = reindex(&store, &index, options, now(), &|_| {}).await;
    assert!(
        matches!(refused, Err(ReindexError::Index(_))),
        "{refused:?}"
    );
}

/// Serving a new index beside old objects would hide them.
#[tokio::test]
async fn objects_without_index_are_served_only_after_a_reindex() {
    let house = furnished().await;
    fs::remove_file(house.index_file()).unwrap();
    let store = house.store();
    let index = std::sync::Arc::new(storage::SqliteIndex::open(&house.index_file()).unwrap());
    let opened = Storage::open(store, index, storage::Limits::default()).await;
    assert!(matches!(opened, Err(OpenError::Unindexed)));
    house.reindex().await;
    drop(house.open().await);
}

#[tokio::test]
async fn an_empty_store_makes_an_index_that_serves() {
    let house = House::new();
    let reindexed = house.reindex().await;
    assert_eq!(reindexed.recorded, reindex::Progress::default());
    drop(house.open().await);
}

/// As a loss of power leaves links that were never synced.
#[tokio::test]
async fn empty_links_are_taken_from_their_names_and_written_again() {
    let house = furnished().await;
    let before = dump_file(&house.index_file()).await;
    for key in [
        layout::layer(&repo(APP), &sha256(b"layer one")),
        layout::revision(&repo(APP), &one()),
        layout::tag_index(&repo(APP), &tag("v1"), &one()),
    ] {
        house.write(&key, "");
    }
    let reindexed = house.reindex().await;
    assert!(
        reindexed.findings.is_clean(),
        "{:#?}",
        reindexed.findings.list
    );
    assert_eq!(kinds(&reindexed), ["link.content"]);
    assert_eq!(dump_file(&house.index_file()).await, before);
    assert_eq!(house.found(Options::default()).await, ["link.pending"]);
    let storage = house.open().await;
    storage.close().await.unwrap();
    drop(storage);
    assert_eq!(house.found(Options::default()).await, [""; 0]);
}

#[tokio::test]
async fn what_a_tag_pointed_to_cannot_be_guessed() {
    for content in ["", "v1", "sha256:", "../../../etc/passwd"] {
        let house = furnished().await;
        house.write(&layout::tag_current(&repo(APP), &tag("v1")), content);
        let reindexed = house.reindex().await;
        assert_eq!(kinds(&reindexed), ["link.content"], "{content:?}");
        assert!(!reindexed.findings.is_clean());
        let storage = house.open().await;
        assert_eq!(served(&storage, APP, "v1").await, None);
        let by_digest = Reference::Digest(one());
        let found = storage
            .catalog
            .manifest(&repo(APP), &by_digest)
            .await
            .unwrap();
        assert!(found.is_some(), "the manifest itself stays");
    }
}

/// A link never makes anything visible but what its own name says.
#[tokio::test]
async fn a_link_that_says_something_else_is_left_out() {
    let house = furnished().await;
    let secret = sha256(b"layer one");
    house.write(&layout::layer(&repo("app"), &nowhere()), secret.to_string());
    house.write(&layout::revision(&repo("app"), &one()), secret.to_string());
    let reindexed = house.reindex().await;
    assert_eq!(reindexed.findings.kinds[&Kind::LinkContent], 2);
    let index = house.index();
    assert_eq!(index.blob(&repo("app"), &secret).await.unwrap(), None);
    assert_eq!(index.manifest(&repo("app"), &one()).await.unwrap(), None);
}

#[tokio::test]
async fn what_cannot_be_recorded_is_found() {
    let house = furnished().await;
    let app = repo("app");
    house.write(&layout::layer(&app, &nowhere()), nowhere().to_string());
    house.write(&layout::revision(&app, &nowhere()), nowhere().to_string());
    house.write(
        &layout::tag_current(&app, &tag("gone")),
        nowhere().to_string(),
    );
    house.write(
        &layout::staged(&app, &UploadId::from_random([3; 16])),
        "bytes",
    );
    house.write_at("docker/registry/v2/repositories/app/_manifests/README", "");
    house.write_at("docker/registry/v2/blobs/README", "");
    let duplicate = br#"{"schemaVersion":2,"config":{},"config":{}}"#;
    house.write(&layout::blob(&sha256(duplicate)), duplicate);
    house.write(
        &layout::revision(&app, &sha256(duplicate)),
        sha256(duplicate).to_string(),
    );
    let lie = sha256(b"what it says");
    house.write(&layout::blob(&lie), "what it is");
    house.write(&layout::revision(&app, &lie), lie.to_string());
    let reindexed = house.reindex().await;
    let found: Vec<_> = reindexed
        .findings
        .kinds
        .iter()
        .map(|(kind, n)| (kind.id(), *n))
        .collect();
    let mut expected = [
        ("blob.missing", 1),
        ("blob.hash", 1),
        ("link.leftover", 1),
        ("manifest.refused", 1),
        ("tag.dangling", 1),
        ("upload.orphan", 1),
        ("file.unknown", 2),
    ];
    expected.sort_by_key(|(id, _)| Kind::ALL.iter().position(|kind| kind.id() == *id));
    assert_eq!(found, expected, "{:#?}", reindexed.findings.list);
    assert_eq!(
        reindexed.recorded.manifests, 2,
        "the sound ones are all there"
    );
}

#[tokio::test]
async fn deep_leaves_out_what_is_not_what_it_says_and_a_push_mends_it() {
    let house = furnished().await;
    let layer = sha256(b"layer one");
    house.write(&layout::blob(&layer), "layer 0ne");
    assert_eq!(kinds(&house.reindex().await), [""; 0]);
    let found = ["blob.hash", "link.leftover", "manifest.incomplete"];
    assert_eq!(kinds(&deep(&house).await), found);
    let storage = house.open().await;
    assert_eq!(storage.blobs.stat(&repo(APP), &layer).await.unwrap(), None);
    push_blob(&storage, &repo(APP), b"layer one", Algorithm::Sha256).await;
    storage.close().await.unwrap();
    drop(storage);
    let options = Options {
        deep: true,
        complete: true,
        again_after: None,
    };
    assert_eq!(house.found(options).await, [""; 0]);
}

/// A reindex must not make of a lost blob an image that was sparse from the beginning.
#[tokio::test]
async fn a_lost_blob_is_damage_before_and_after() {
    let house = furnished().await;
    house.remove(&layout::blob(&sha256(b"layer one")));
    assert_eq!(house.found(Options::default()).await, ["blob.missing"]);
    let reindexed = house.reindex().await;
    assert_eq!(kinds(&reindexed), ["link.leftover", "manifest.incomplete"]);
    assert_eq!(reindexed.findings.errors, 1);
    let report = house.fsck(Options::default()).await;
    assert_eq!(report.findings.kinds[&Kind::ManifestIncomplete], 1);
    assert!(!report.is_clean());
}

#[tokio::test]
async fn a_sparse_image_stays_one() {
    let house = House::new();
    let storage = house.open().await;
    put(
        &storage,
        &repo(APP),
        &image("one", Algorithm::Sha256),
        &[tag("v1")],
    )
    .await;
    storage.close().await.unwrap();
    drop(storage);
    let reindexed = house.reindex().await;
    assert!(reindexed.findings.list.is_empty() && reindexed.recorded.manifests == 1);
    assert!(house.fsck(Options::default()).await.is_clean());
}

#[tokio::test]
async fn media_types_that_the_bytes_do_not_tell_come_back() {
    let house = House::new();
    let storage = house.open().await;
    let media_type = MediaType::parse("application/vnd.example+json").unwrap();
    let opaque = manifest(&json!({"layers": []}), &media_type, Algorithm::Sha256);
    put(&storage, &repo("x"), &opaque, &[tag("v1")]).await;
    storage.close().await.unwrap();
    drop(storage);
    house.reindex().await;
    let link = storage::index::Link::Revision(repo("x"), opaque.digest());
    let (state, _) = house.index().link(&link).await.unwrap();
    assert_eq!(state, LinkState::Revision(media_type));
}

/// More than one batch, in repositories whose names sort otherwise than their keys.
#[tokio::test]
async fn many_of_everything() {
    let house = House::new();
    let body = image("one", Algorithm::Sha256);
    let digest = body.digest();
    house.write(&layout::blob(&digest), body.bytes());
    for content in ["config one", "layer one"] {
        house.write(&layout::blob(&sha256(content.as_bytes())), content);
    }
    let names = ["a", "a-b", "a.b", "a/0", "a/b", "a_b", "a0"].map(repo);
    for name in &names {
        for content in ["config one", "layer one"] {
            let digest = sha256(content.as_bytes());
            house.write(&layout::layer(name, &digest), digest.to_string());
        }
        house.write(&layout::revision(name, &digest), digest.to_string());
        for n in 0..400 {
            let tag = tag(&format!("v{n}"));
            house.write(&layout::tag_current(name, &tag), digest.to_string());
            house.write(&layout::tag_index(name, &tag, &digest), digest.to_string());
        }
    }
    let recorded = house.reindex().await.recorded;
    assert_eq!((recorded.repositories, recorded.tags), (7, 7 * 400));
    let options = Options {
        deep: true,
        complete: true,
        again_after: None,
    };
    assert_eq!(house.found(options).await, [""; 0]);
}

/// The objects know nothing of who did what.
#[tokio::test(flavor = "multi_thread")]
async fn the_audit_record_is_taken_over() {
    use storage::audit::{Cause, Origin, Query};
    let house = House::new();
    let storage = house.open().await;
    let origin = Origin {
        user: "ada".to_owned(),
        ..Origin::own(now())
    };
    let content = b"layer";
    let body = Box::pin(futures_util::stream::iter([Ok(bytes::Bytes::from_static(
        content,
    ))]));
    let cause = Cause::of(origin, now());
    storage
        .uploads
        .whole(&repo(APP), &sha256(content), body, None, cause)
        .await
        .unwrap();
    let before = storage.audit.since(0, 10).await.unwrap();
    assert_eq!(before.len(), 1);
    storage.close().await.unwrap();
    drop(storage);
    for _ in 0..2 {
        assert_eq!(house.reindex().await.recorded.audit_rows, 1);
    }
    let storage = house.open().await;
    assert_eq!(storage.audit.since(0, 10).await.unwrap(), before);
    let page = storage.audit.page(&Query::default(), None, 10).await;
    assert_eq!(page.unwrap().rows, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_users_are_taken_over() {
    let house = furnished().await;
    let token = |number: usize| KeptToken {
        id: format!("{number:05}"),
        kind: "api".to_owned(),
        owner: "ada".to_owned(),
        hash: vec![7; 32],
        created: now(),
        expires: now() + Duration::from_secs(60),
        used: None,
        revoked: (number == 7).then(now),
        document: "{}".to_owned(),
    };
    let many = 1_500;
    let storage = house.open().await;
    let tokens = (0..many).map(token).map(Fact::Token).collect();
    storage.index().load(tokens).await.unwrap();
    drop(storage);
    house.reindex().await;
    let storage = house.open().await;
    let kept = storage.index().all_tokens(None, many + 1).await.unwrap();
    assert_eq!(kept.len(), many);
    assert_eq!(kept[7], token(7));
    drop(storage);
    // With the index they are lost.
    fs::remove_file(house.index_file()).unwrap();
    house.reindex().await;
    let storage = house.open().await;
    assert_eq!(storage.index().tokens(None, None, 1).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_taken_over() {
    let house = furnished().await;
    let record = |number: usize| Record {
        key: RecordKey {
            kind: if number.is_multiple_of(2) {
                "build"
            } else {
                "run"
            }
            .to_owned(),
            namespace: format!("team-{}", number % 7),
            name: format!("{number:05}"),
        },
        revision: number as u64 + 1,
        open: number.is_multiple_of(3),
        brief: number.is_multiple_of(2).then(|| b"{}".to_vec()),
        body: format!("{{\"number\":{number}}}").into_bytes(),
    };
    let many = 1_500;
    let mut all: Vec<Record> = (0..many).map(record).collect();
    let storage = house.open().await;
    storage.index().carry_records(all.clone()).await.unwrap();
    storage.close().await.unwrap();
    drop(storage);
    assert_eq!(house.reindex().await.recorded.records, many as u64);
    all.sort_by(|a, b| a.key.cmp(&b.key));
    let storage = house.open().await;
    let kept = storage.index().all_records(None, many + 1).await.unwrap();
    assert_eq!(kept, all);
}
