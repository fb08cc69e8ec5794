use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use oci::{Descriptor, Digest, Manifest, MediaType, Reference, RepoName, Tag};

mod loads;

use crate::index::suite::{artifact, at, blob, hold, image, list, repo, tag, then};
use crate::suite::bytes;
use crate::{
    Durability, Limits, MemoryStore, MoveTags, PutError, Sparse, SqliteIndex, Storage,
    StorageError, layout,
};

async fn storage() -> Arc<Storage> {
    storage_with(SqliteIndex::in_memory().unwrap()).await
}

async fn storage_with(index: SqliteIndex) -> Arc<Storage> {
    let index = Arc::new(index);
    let limits = Limits {
        sparse: Sparse::Refused,
        ..Limits::default()
    };
    let storage = Storage::open(Arc::new(MemoryStore::new()), index, limits);
    Arc::new(storage.await.unwrap())
}

async fn push(
    storage: &Storage,
    manifest: &Manifest,
    tags: &[&str],
    moves: MoveTags,
) -> Result<(), PutError> {
    let tags: Vec<Tag> = tags.iter().map(|name| tag(name)).collect();
    let catalog = &storage.catalog;
    catalog.put(&repo("a"), manifest, &tags, moves, at(1)).await
}

async fn put(storage: &Storage, manifest: &Manifest, tags: &[&str]) {
    push(storage, manifest, tags, MoveTags::Allowed)
        .await
        .unwrap();
}

async fn pull(storage: &Storage, reference: impl Into<Reference>) -> Option<Bytes> {
    let (repo, reference) = (repo("a"), reference.into());
    let found = storage.catalog.manifest(&repo, &reference).await;
    found.unwrap().map(|manifest| manifest.bytes.clone())
}

async fn link(storage: &Storage, repo: &RepoName, name: &str) -> String {
    let key = layout::tag_current(repo, &tag(name));
    let object = storage.store().get(&key).await.unwrap();
    String::from_utf8(bytes(&object)).unwrap()
}

#[tokio::test]
async fn a_manifest_comes_back_as_it_was_pushed() {
    let storage = storage().await;
    hold(storage.index(), &repo("a"), &[1, 2]).await;
    let image = image(1, &[2]);
    assert_eq!(pull(&storage, tag("v1")).await, None);
    put(&storage, &image, &["v1", "v2"]).await;
    let catalog = &storage.catalog;
    let digest = Reference::Digest(image.digest());
    assert!(
        catalog.cached(&repo("a"), &digest).is_none(),
        "nobody has asked yet"
    );
    for reference in [tag("v1").into(), tag("v2").into(), digest.clone()] {
        let cold = catalog
            .manifest(&repo("a"), &reference)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(cold.bytes, image.bytes());
        assert_eq!(cold.digest, image.digest());
        assert_eq!(cold.media_type, MediaType::OCI_MANIFEST);
        let hot = catalog.cached(&repo("a"), &reference).unwrap();
        assert!(Arc::ptr_eq(&cold, &hot));
    }
    assert!(catalog.cached(&repo("b"), &digest).is_none());
    assert!(
        catalog
            .manifest(&repo("b"), &digest)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn what_changes_is_seen_at_once() {
    let storage = storage().await;
    hold(storage.index(), &repo("a"), &[1, 2]).await;
    let (one, two) = (image(1, &[]), image(2, &[]));
    put(&storage, &one, &["v1"]).await;
    assert_eq!(pull(&storage, tag("v1")).await.as_ref(), Some(one.bytes()));
    put(&storage, &two, &["v1", "v2"]).await;
    assert_eq!(pull(&storage, tag("v1")).await.as_ref(), Some(two.bytes()));
    assert_eq!(pull(&storage, tag("v2")).await.as_ref(), Some(two.bytes()));
    let catalog = &storage.catalog;
    assert!(
        catalog
            .delete_tag(&repo("a"), &tag("v1"), at(1))
            .await
            .unwrap()
    );
    assert_eq!(pull(&storage, tag("v1")).await, None);
    assert!(
        catalog
            .delete_manifest(&repo("a"), &two.digest(), at(1))
            .await
            .unwrap()
    );
    assert_eq!(pull(&storage, tag("v2")).await, None);
    assert_eq!(pull(&storage, two.digest()).await, None);
    assert_eq!(
        pull(&storage, one.digest()).await.as_ref(),
        Some(one.bytes())
    );
}

/// The same bytes pushed as another type: all that name them serve the new type.
#[tokio::test]
async fn a_new_media_type_is_seen_by_every_name() {
    let storage = storage().await;
    let parse = |name| {
        let media_type = MediaType::parse(name).unwrap();
        let bytes = Bytes::from_static(b"{}");
        Manifest::parse(bytes, Some(&media_type), oci::Algorithm::Sha256).unwrap()
    };
    let (one, two) = (parse("a/one"), parse("a/two"));
    put(&storage, &one, &["v1"]).await;
    pull(&storage, tag("v1")).await;
    put(&storage, &two, &["v2"]).await;
    for reference in [tag("v1").into(), tag("v2").into(), one.digest().into()] {
        let found = storage.catalog.manifest(&repo("a"), &reference).await;
        assert_eq!(found.unwrap().unwrap().media_type, *two.media_type());
    }
}

#[tokio::test]
async fn damaged_bytes_are_not_served_and_a_push_heals_them() {
    let storage = storage().await;
    hold(storage.index(), &repo("a"), &[1]).await;
    let image = image(1, &[]);
    put(&storage, &image, &["v1"]).await;
    let key = layout::blob(&image.digest());
    let mut damaged = image.bytes().to_vec();
    damaged[5] ^= 1;
    let store = storage.store();
    store
        .put(&key, damaged.into(), Durability::Now)
        .await
        .unwrap();
    for _ in 0..2 {
        let refused = storage
            .catalog
            .manifest(&repo("a"), &tag("v1").into())
            .await;
        assert!(matches!(refused, Err(StorageError::Corrupt { .. })));
    }
    store.delete(&key).await.unwrap();
    let refused = storage
        .catalog
        .manifest(&repo("a"), &image.digest().into())
        .await;
    assert!(
        matches!(refused, Err(StorageError::Corrupt { .. })),
        "missing is damage, not absence"
    );
    put(&storage, &image, &[]).await;
    assert_eq!(
        pull(&storage, tag("v1")).await.as_ref(),
        Some(image.bytes())
    );
}

/// The same bytes may be a blob as well, which somebody has had opened while they were damaged.
#[tokio::test]
async fn a_push_heals_also_what_was_opened_as_a_blob() {
    let storage = storage().await;
    let (a, image) = (repo("a"), image(1, &[]));
    hold(storage.index(), &a, &[1]).await;
    put(&storage, &image, &[]).await;
    let (digest, size) = (image.digest(), image.bytes().len() as u64);
    let linked = storage.index().link_blob(&a, &digest, size, None, then());
    linked.await.unwrap();
    let mut damaged = image.bytes().to_vec();
    damaged[5] ^= 1;
    let (key, store) = (layout::blob(&digest), storage.store());
    let damaged = Bytes::from(damaged);
    store
        .put(&key, damaged.clone(), Durability::Now)
        .await
        .unwrap();
    let opened = storage.blobs.open(&a, &digest).await.unwrap().unwrap();
    assert_eq!(bytes(&opened), damaged);
    put(&storage, &image, &[]).await;
    let opened = storage.blobs.open(&a, &digest).await.unwrap().unwrap();
    assert_eq!(bytes(&opened), image.bytes().to_vec());
}

#[tokio::test]
async fn a_refused_push_leaves_no_bytes() {
    let storage = storage().await;
    hold(storage.index(), &repo("a"), &[1]).await;
    let (one, two) = (image(1, &[]), image(1, &[2, 3]));
    put(&storage, &one, &["v1"]).await;
    let refused = push(&storage, &two, &[], MoveTags::Allowed).await;
    let Err(PutError::MissingBlobs(missing)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(missing, [blob(2), blob(3)]);
    let other = artifact(1, &[], None, Some("a/b"), &[]);
    let refused = push(&storage, &other, &["v1"], MoveTags::Refused).await;
    assert!(matches!(refused, Err(PutError::TagExists(name)) if name == tag("v1")));
    for manifest in [&two, &other] {
        assert!(
            storage
                .store()
                .head(&layout::blob(&manifest.digest()))
                .await
                .is_err()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_racing_first_pushes_one_wins() {
    const RACERS: u64 = 64;
    let storage = storage().await;
    let numbers: Vec<u64> = (0..RACERS).collect();
    hold(storage.index(), &repo("a"), &numbers).await;
    let racers: Vec<_> = numbers
        .iter()
        .map(|number| {
            let (storage, image) = (Arc::clone(&storage), image(*number, &[]));
            tokio::spawn(async move {
                let outcome = push(&storage, &image, &["v1"], MoveTags::Refused).await;
                (image, outcome)
            })
        })
        .collect();
    let mut winners = Vec::new();
    for racer in racers {
        match racer.await.unwrap() {
            (image, Ok(())) => winners.push(image),
            (_, Err(PutError::TagExists(_))) => {}
            (_, Err(error)) => panic!("{error}"),
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(
        pull(&storage, tag("v1")).await.as_ref(),
        Some(winners[0].bytes())
    );
    let digest = winners[0].digest().to_string();
    assert_eq!(link(&storage, &repo("a"), "v1").await, digest);
}

/// Pushes of a growing number under one tag; nobody may pull less than what was acknowledged or seen before.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_tag_never_goes_back() {
    const PUSHES: u64 = 300;
    // A file, because its readers do not queue behind its writer.
    let folder = tempfile::tempdir().unwrap();
    let index = SqliteIndex::open(&folder.path().join("index.sqlite")).unwrap();
    let storage = storage_with(index).await;
    let numbers: Vec<u64> = (0..=PUSHES).collect();
    hold(storage.index(), &repo("a"), &numbers).await;
    let images: Arc<Vec<Digest>> =
        Arc::new(numbers.iter().map(|n| image(*n, &[]).digest()).collect());
    put(&storage, &image(0, &[]), &["v1"]).await;
    let least = Arc::new(AtomicU64::new(0));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (storage, images, least) = (
                Arc::clone(&storage),
                Arc::clone(&images),
                Arc::clone(&least),
            );
            tokio::spawn(async move {
                let reference = tag("v1").into();
                let mut hits = 0;
                while least.load(Ordering::SeqCst) < PUSHES {
                    let before = least.load(Ordering::SeqCst);
                    let hot = storage.catalog.cached(&repo("a"), &reference);
                    hits += usize::from(hot.is_some());
                    let seen = if let Some(seen) = hot {
                        seen
                    } else {
                        let a = repo("a");
                        let cold = storage.catalog.manifest(&a, &reference).await;
                        cold.unwrap().unwrap()
                    };
                    let seen = images.iter().position(|digest| *digest == seen.digest);
                    let seen = seen.unwrap() as u64;
                    assert!(seen >= before, "{seen} came after {before}");
                    least.fetch_max(seen, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                }
                hits
            })
        })
        .collect();
    for number in 1..=PUSHES {
        put(&storage, &image(number, &[]), &["v1"]).await;
        least.fetch_max(number, Ordering::SeqCst);
    }
    let mut hits = 0;
    for reader in readers {
        hits += reader.await.unwrap();
    }
    assert!(hits > 0, "the cache was not tried");
}

/// Each image is pushed under the same tag and deleted before the next; nobody may pull one that was seen to be gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_deleted_never_comes_back() {
    const PUSHES: u64 = 150;
    let folder = tempfile::tempdir().unwrap();
    let index = SqliteIndex::open(&folder.path().join("index.sqlite")).unwrap();
    let storage = storage_with(index).await;
    let numbers: Vec<u64> = (0..=PUSHES).collect();
    hold(storage.index(), &repo("a"), &numbers).await;
    let digests = numbers.iter().map(|n| image(*n, &[]).digest());
    let digests: Arc<Vec<Digest>> = Arc::new(digests.collect());
    // Twice the number of the image, and one more when it is gone.
    let least = Arc::new(AtomicU64::new(0));
    let readers: Vec<_> = (0..8)
        .map(|reader| {
            let (storage, digests) = (Arc::clone(&storage), Arc::clone(&digests));
            let least = Arc::clone(&least);
            tokio::spawn(async move {
                let mut pulled = 0;
                while least.load(Ordering::SeqCst) < 2 * PUSHES {
                    let before = least.load(Ordering::SeqCst);
                    let reference = match reader % 2 {
                        0 => Reference::Tag(tag("v1")),
                        _ => Reference::Digest(digests[usize::try_from(before / 2).unwrap()]),
                    };
                    let catalog = &storage.catalog;
                    let seen = catalog.manifest(&repo("a"), &reference).await.unwrap();
                    if let Some(seen) = seen {
                        pulled += 1;
                        let seen = digests.iter().position(|digest| *digest == seen.digest);
                        let seen = 2 * seen.unwrap() as u64;
                        assert!(seen >= before, "{seen} came after {before}");
                        least.fetch_max(seen, Ordering::SeqCst);
                    }
                    tokio::task::yield_now().await;
                }
                pulled
            })
        })
        .collect();
    for number in numbers {
        let image = image(number, &[]);
        put(&storage, &image, &["v1"]).await;
        least.fetch_max(2 * number, Ordering::SeqCst);
        tokio::task::yield_now().await;
        let catalog = &storage.catalog;
        let deleted = catalog
            .delete_manifest(&repo("a"), &image.digest(), at(1))
            .await;
        assert!(deleted.unwrap());
        least.fetch_max(2 * number + 1, Ordering::SeqCst);
    }
    let mut pulled = 0;
    for reader in readers {
        pulled += reader.await.unwrap();
    }
    assert!(pulled > 0, "nothing was pulled");
}

/// A push whose client goes away is done all the same, in the index, in memory and in the objects.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_nobody_waits_for_is_whole_or_not_there() {
    let storage = storage().await;
    let numbers: Vec<u64> = (0..100).collect();
    hold(storage.index(), &repo("a"), &numbers).await;
    for number in numbers {
        let image = image(number, &[]);
        let pushing = tokio::spawn({
            let (storage, image) = (Arc::clone(&storage), image.clone());
            async move { put(&storage, &image, &["v1"]).await }
        });
        for _ in 0..number % 7 {
            tokio::task::yield_now().await;
        }
        pushing.abort();
        let _ = pushing.await;
        pull(&storage, tag("v1")).await;
    }
    // What was begun ends by itself; then everybody says the same.
    let key = layout::tag_current(&repo("a"), &tag("v1"));
    let mut last = None;
    loop {
        let facts = storage.index().tag(&repo("a"), &tag("v1")).await.unwrap();
        let indexed = facts.map(|facts| facts.digest);
        let pulled = storage
            .catalog
            .manifest(&repo("a"), &tag("v1").into())
            .await
            .unwrap();
        let object = storage.store().get(&key).await.ok();
        let linked = object.map(|object| String::from_utf8(bytes(&object)).unwrap());
        let said = (
            indexed.map(|digest| digest.to_string()),
            pulled.map(|manifest| manifest.digest.to_string()),
            linked,
        );
        if said.0 == said.1 && said.0 == said.2 && last == Some(said.clone()) {
            break;
        }
        last = Some(said);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

fn listed(manifest: &Manifest, kind: &str) -> Descriptor {
    Descriptor {
        artifact_type: Some(kind.to_owned()),
        ..Descriptor::new(
            manifest.media_type().clone(),
            manifest.digest(),
            manifest.bytes().len() as u64,
        )
    }
}

#[tokio::test]
async fn referrers_that_an_older_client_listed_are_folded_in() {
    let storage = storage().await;
    hold(storage.index(), &repo("a"), &[1, 2, 3]).await;
    let subject = blob(100);
    let known: Vec<Manifest> = (0..3)
        .map(|n| {
            artifact(
                1,
                &[],
                Some(subject),
                Some("kind/one"),
                &[("n", &n.to_string())],
            )
        })
        .collect();
    // Without a subject of their own: only the list tells.
    let old: Vec<Manifest> = (0..3)
        .map(|n| artifact(2, &[], None, Some("kind/two"), &[("n", &n.to_string())]))
        .collect();
    for manifest in known.iter().chain(&old) {
        put(&storage, manifest, &[]).await;
    }
    let gone = image(3, &[]);
    let mut entries: Vec<Descriptor> = old.iter().map(|m| listed(m, "kind/two")).collect();
    entries.push(listed(&known[0], "kind/wrong"));
    entries.push(listed(&gone, "kind/two"));
    let fallback = Tag::referrers_of(&subject);
    put(&storage, &list(&entries), &[fallback.as_str()]).await;

    let catalog = &storage.catalog;
    let all = catalog
        .referrers(&repo("a"), &subject, None, None, 100)
        .await
        .unwrap()
        .entries;
    let mut expected: Vec<Digest> = known.iter().chain(&old).map(Manifest::digest).collect();
    expected.sort();
    assert_eq!(all.iter().map(|d| d.digest).collect::<Vec<_>>(), expected);
    // The index knows it better than the list.
    let known_first = all.iter().find(|d| d.digest == known[0].digest()).unwrap();
    assert_eq!(*known_first, known[0].descriptor());
    let twos = catalog
        .referrers(&repo("a"), &subject, Some("kind/two"), None, 100)
        .await;
    assert_eq!(twos.unwrap().entries.len(), 3);
    let mut paged: Vec<Descriptor> = Vec::new();
    loop {
        let after = paged.last().map(|d| d.digest);
        let page = catalog
            .referrers(&repo("a"), &subject, None, after.as_ref(), 2)
            .await
            .unwrap();
        assert!((1..=2).contains(&page.entries.len()));
        paged.extend(page.entries);
        if !page.more {
            break;
        }
    }
    assert_eq!(paged, all);
    // What is deleted is listed no more, though the list still says so.
    catalog
        .delete_manifest(&repo("a"), &old[0].digest(), at(1))
        .await
        .unwrap();
    let twos = catalog
        .referrers(&repo("a"), &subject, Some("kind/two"), None, 100)
        .await;
    assert_eq!(twos.unwrap().entries.len(), 2);
}

#[tokio::test]
async fn who_listens_is_told_of_tags_that_move_and_of_no_push_that_failed() {
    let storage = storage().await;
    hold(storage.index(), &repo("a"), &[1, 2, 3]).await;
    let (one, other) = (image(1, &[2]), image(1, &[3]));
    put(&storage, &one, &["v1"]).await;
    let mut told = storage.catalog.moved_tags();
    put(&storage, &other, &["v1", "v2"]).await;
    push(&storage, &one, &["v1"], MoveTags::Refused)
        .await
        .unwrap_err();
    let mut names = Vec::new();
    while let Ok(moved) = told.try_recv() {
        assert_eq!((&moved.repo, moved.digest), (&repo("a"), other.digest()));
        names.push(moved.tag.to_string());
    }
    assert_eq!(names, ["v1", "v2"]);
    // So many at once that somebody slow does not hear of all is said, too.
    let many: Vec<String> = (0..100).map(|number| format!("v{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for _ in 0..11 {
        put(&storage, &one, &many).await;
    }
    assert!(matches!(
        told.try_recv(),
        Err(tokio::sync::broadcast::error::TryRecvError::Lagged(_))
    ));
}
