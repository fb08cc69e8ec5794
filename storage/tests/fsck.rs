//! Every kind of damage is found, under its name, and nothing else with it.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod house;

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use house::{House, image, manifest, now, nowhere, push_blob, push_image, put, repo, sha256, tag};
use oci::{Algorithm, Digest, MediaType, UploadId};
use serde_json::json;
use storage::fsck::{Checked, Kind, Options, fsck};
use storage::index::NewManifest;
use storage::{MoveTags, Sparse, layout};

const APP: &str = "team/app";
const OTHER: &str = "deep/er/other";

/// A case: what must be found, what it is called, and the damage.
type Case = (Kind, &'static str, fn(&House));

/// An image in each of two repositories, and in one a manifest whose bytes do not tell its type.
async fn furnished() -> House {
    let house = House::new();
    let storage = house.open().await;
    push_image(&storage, &repo(APP), "one", Algorithm::Sha256, &[tag("v1")]).await;
    push_image(
        &storage,
        &repo(OTHER),
        "two",
        Algorithm::Sha512,
        &[tag("v2")],
    )
    .await;
    put(&storage, &repo(APP), &opaque(), &[tag("opaque")]).await;
    storage.close().await.unwrap();
    drop(storage);
    assert_eq!(house.found(deep()).await, [""; 0]);
    house
}

fn deep() -> Options {
    Options {
        deep: true,
        complete: true,
        again_after: None,
    }
}

fn opaque() -> oci::Manifest {
    let media_type = MediaType::parse("application/vnd.example+json").unwrap();
    manifest(&json!({"layers": []}), &media_type, Algorithm::Sha256)
}

fn one() -> Digest {
    image("one", Algorithm::Sha256).digest()
}

fn two() -> Digest {
    image("two", Algorithm::Sha512).digest()
}

fn layer_one() -> Digest {
    sha256(b"layer one")
}

fn append(house: &House, digest: &Digest) {
    let path = house.file(&layout::blob(digest));
    let mut content = fs::read(&path).unwrap();
    content.push(b'\n');
    fs::write(path, content).unwrap();
}

fn flip(house: &House, digest: &Digest) {
    let path = house.file(&layout::blob(digest));
    let mut content = fs::read(&path).unwrap();
    content[3] ^= 1;
    fs::write(path, content).unwrap();
}

const CASES: &[Case] = &[
    (Kind::BlobMissing, "a layer", |h| {
        h.remove(&layout::blob(&layer_one()));
    }),
    (Kind::BlobMissing, "a manifest", |h| {
        h.remove(&layout::blob(&two()));
    }),
    (Kind::BlobSize, "a layer grew", |h| append(h, &layer_one())),
    (Kind::BlobSize, "a layer was cut", |h| {
        h.write(&layout::blob(&layer_one()), "layer");
    }),
    (Kind::BlobSize, "a manifest grew", |h| append(h, &two())),
    (Kind::BlobSize, "a manifest is empty", |h| {
        h.write(&layout::blob(&one()), "");
    }),
    (Kind::BlobHash, "a bit of a layer", |h| {
        flip(h, &layer_one());
    }),
    (Kind::BlobHash, "a bit of a manifest", |h| flip(h, &two())),
    (Kind::BlobUnreferenced, "in the middle", |h| {
        h.write(&layout::blob(&sha256(b"x")), "x");
    }),
    (Kind::BlobUnreferenced, "at the end", |h| {
        h.write(
            &layout::blob(&Digest::parse(&format!("sha512:{}", "f".repeat(128))).unwrap()),
            "",
        );
    }),
    (Kind::LinkMissing, "of a layer", |h| {
        h.remove(&layout::layer(&repo(APP), &layer_one()));
    }),
    (Kind::LinkMissing, "of a manifest", |h| {
        h.remove(&layout::revision(&repo(OTHER), &two()));
    }),
    (Kind::LinkMissing, "of a tag", |h| {
        h.remove(&layout::tag_current(&repo(APP), &tag("v1")));
    }),
    (Kind::LinkMissing, "of a tag's index", |h| {
        h.remove(&layout::tag_index(&repo(APP), &tag("v1"), &one()));
    }),
    (Kind::LinkMissing, "of a media type", |h| {
        h.remove(&layout::media_type(&repo(APP), &opaque().digest()));
    }),
    (Kind::LinkContent, "torn, of a layer", |h| {
        h.write(&layout::layer(&repo(APP), &layer_one()), "");
    }),
    (Kind::LinkContent, "torn, of a manifest", |h| {
        h.write(&layout::revision(&repo(OTHER), &two()), "sha512:");
    }),
    (Kind::LinkContent, "torn, of a tag", |h| {
        h.write(&layout::tag_current(&repo(APP), &tag("v1")), "");
    }),
    (Kind::LinkContent, "another manifest, of a tag", |h| {
        h.write(
            &layout::tag_current(&repo(APP), &tag("v1")),
            opaque().digest().to_string(),
        );
    }),
    (Kind::LinkContent, "a line break", |h| {
        h.write(
            &layout::layer(&repo(APP), &layer_one()),
            format!("{}\n", layer_one()),
        );
    }),
    (Kind::LinkContent, "far too long", |h| {
        h.write(&layout::layer(&repo(APP), &layer_one()), vec![0; 1 << 20]);
    }),
    (Kind::LinkContent, "another media type", |h| {
        h.write(
            &layout::media_type(&repo(APP), &opaque().digest()),
            "text/plain",
        );
    }),
    (
        Kind::LinkContent,
        "a media type where the bytes say another",
        |h| {
            h.write(&layout::media_type(&repo(APP), &one()), "text/plain");
        },
    ),
    (Kind::LinkStray, "of a layer", |h| {
        h.write(
            &layout::layer(&repo(OTHER), &layer_one()),
            layer_one().to_string(),
        );
    }),
    (
        Kind::LinkStray,
        "of a manifest, in a repository that is unknown",
        |h| {
            h.write(
                &layout::revision(&repo("un/known"), &one()),
                one().to_string(),
            );
        },
    ),
    (Kind::LinkStray, "of a tag", |h| {
        h.write(
            &layout::tag_current(&repo(APP), &tag("v9")),
            one().to_string(),
        );
    }),
    (Kind::LinkStray, "of a tag, torn", |h| {
        h.write(&layout::tag_current(&repo(APP), &tag("v9")), "");
    }),
    (Kind::LinkPending, "a tag", |h| {
        h.sql(&format!(
            "INSERT INTO journal (kind, repo, name) VALUES ('tag', '{APP}', 'v1')"
        ));
        h.write(
            &layout::tag_current(&repo(APP), &tag("v1")),
            opaque().digest().to_string(),
        );
    }),
    (Kind::LinkPending, "a layer", |h| {
        let name = layer_one();
        h.sql(&format!(
            "INSERT INTO journal (kind, repo, name) VALUES ('layer', '{APP}', '{name}')"
        ));
        h.remove(&layout::layer(&repo(APP), &layer_one()));
    }),
    (Kind::LinkLeftover, "of a layer", |h| {
        h.write(
            &layout::layer(&repo(APP), &nowhere()),
            nowhere().to_string(),
        );
    }),
    (Kind::LinkLeftover, "of a tag", |h| {
        h.write(
            &layout::tag_current(&repo(APP), &tag("v9")),
            nowhere().to_string(),
        );
    }),
    (Kind::LinkLeftover, "of a tag's index", |h| {
        h.write(
            &layout::tag_index(&repo(APP), &tag("v9"), &one()),
            one().to_string(),
        );
    }),
    (
        Kind::LinkLeftover,
        "of a media type that the bytes say",
        |h| {
            h.write(
                &layout::media_type(&repo(APP), &one()),
                MediaType::OCI_MANIFEST.as_str(),
            );
        },
    ),
    (
        Kind::LinkLeftover,
        "of the media type of no manifest",
        |h| {
            h.write(&layout::media_type(&repo(APP), &nowhere()), "text/plain");
        },
    ),
    (Kind::ManifestRefused, "of the index", |h| {
        h.sql(&format!(
            "UPDATE manifests SET media_type = '{}' WHERE media_type = '{}'",
            MediaType::OCI_INDEX,
            MediaType::parse("application/vnd.example+json").unwrap()
        ));
        h.write(
            &layout::media_type(&repo(APP), &opaque().digest()),
            MediaType::OCI_INDEX.as_str(),
        );
    }),
    (Kind::ManifestFacts, "another size", |h| {
        h.sql("UPDATE manifests SET size = size + 1");
    }),
    (Kind::ManifestFacts, "another artifact type", |h| {
        h.sql("UPDATE manifests SET artifact_type = 'text/plain'");
    }),
    (Kind::ManifestEdges, "one too few", |h| {
        h.sql("DELETE FROM manifest_edges WHERE kind = 'layer'");
    }),
    (Kind::ManifestEdges, "one of another kind", |h| {
        h.sql("UPDATE manifest_edges SET kind = 'child' WHERE kind = 'config'");
    }),
    (Kind::ManifestIncomplete, "a layer is no longer held", |h| {
        let layer = layer_one();
        h.sql(&format!(
            "DELETE FROM repo_blobs WHERE blob = (SELECT id FROM blobs WHERE digest = '{layer}')"
        ));
        h.remove(&layout::layer(&repo(APP), &layer));
    }),
    (Kind::TagDangling, "another repository's manifest", |h| {
        let (two, v1) = (two(), tag("v1"));
        h.sql(&format!(
            "UPDATE tags SET manifest = (SELECT id FROM manifests WHERE digest = '{two}') WHERE name = 'v1'"
        ));
        h.write(&layout::tag_current(&repo(APP), &v1), two.to_string());
        h.write(&layout::tag_index(&repo(APP), &v1, &two), two.to_string());
    }),
    (Kind::UploadOrphan, "bytes", |h| {
        let id = UploadId::from_random([7; 16]);
        h.write(&layout::staged(&repo(APP), &id), "bytes");
    }),
    (Kind::FileUnknown, "among repositories", |h| {
        h.write_at("docker/registry/v2/repositories/team/README", "");
    }),
    (Kind::FileUnknown, "among blobs", |h| {
        h.write_at("docker/registry/v2/blobs/sha256/zz/README", "");
    }),
];

#[tokio::test]
async fn every_damage_is_found_and_nothing_else() {
    let sound = furnished().await;
    for (kind, name, damage) in CASES {
        let house = sound.copy();
        damage(&house);
        let report = house.fsck(deep()).await;
        let list = report.findings.list;
        let found: BTreeSet<Kind> = list.iter().map(|finding| finding.id).collect();
        assert_eq!(found, BTreeSet::from([*kind]), "{kind}, {name}: {list:#?}");
    }
}

#[test]
fn every_kind_has_a_case() {
    let mut covered: BTreeSet<Kind> = CASES.iter().map(|(kind, ..)| *kind).collect();
    // It never comes alone: `rows_without_their_parents_are_damage`.
    covered.insert(Kind::IndexDamaged);
    assert_eq!(covered, Kind::ALL.iter().copied().collect());
}

#[tokio::test]
async fn rows_without_their_parents_are_damage() {
    let house = furnished().await;
    house.sql(&format!("DELETE FROM manifests WHERE digest = '{}'", one()));
    let found = house.found(Options::default()).await;
    assert!(found.contains(&"index.damaged"), "{found:?}");
}

#[tokio::test]
async fn notes_are_clean_and_errors_are_not() {
    let house = furnished().await;
    house.write(&layout::blob(&sha256(b"x")), "x");
    let report = house.fsck(deep()).await;
    assert!(report.is_clean() && report.findings.notes == 1);
    house.remove(&layout::blob(&layer_one()));
    assert!(!house.fsck(deep()).await.is_clean());
}

#[tokio::test]
async fn counts_are_of_what_is_there() {
    let house = furnished().await;
    let checked = house.fsck(deep()).await.checked;
    // Two images of two blobs each, and three manifests.
    assert_eq!((checked.blobs, checked.layers), (7, 4));
    assert_eq!((checked.manifests, checked.tags), (3, 3));
    // Seven blobs, four layers, three revisions, one media type, three tags of two links.
    assert_eq!(checked.objects, 7 + 4 + 3 + 1 + 3 * 2);
    assert!(checked.hashed_bytes > 0);
    let shallow = house.fsck(Options::default()).await.checked;
    assert_eq!(shallow.hashed_bytes, 0);
}

#[tokio::test]
async fn without_deep_only_manifests_are_hashed() {
    let house = furnished().await;
    flip(&house, &layer_one());
    assert_eq!(house.found(Options::default()).await, [""; 0]);
    flip(&house, &one());
    assert_eq!(house.found(Options::default()).await, ["blob.hash"]);
}

#[tokio::test]
async fn a_sparse_image_is_damage_only_where_none_may_be() {
    let house = House::new();
    let storage = house.open().await;
    put(&storage, &repo(APP), &image("one", Algorithm::Sha256), &[]).await;
    storage.close().await.unwrap();
    drop(storage);
    let sparse = house.fsck(Options::default()).await;
    assert!(sparse.is_clean() && sparse.findings.notes > 0);
    assert!(!house.fsck(deep()).await.is_clean());
}

/// A manifest of schema 1 cannot be served, and a directory that holds one can be clean.
#[tokio::test]
async fn what_is_never_served_is_noted() {
    let house = furnished().await;
    let schema1 = br#"{"schemaVersion":1,"name":"a","tag":"b","fsLayers":[],"history":[]}"#;
    let digest = sha256(schema1);
    house.write(&layout::blob(&digest), schema1);
    house.write(&layout::revision(&repo(APP), &digest), digest.to_string());
    house.write(
        &layout::tag_current(&repo(APP), &tag("old")),
        digest.to_string(),
    );
    let report = house.fsck(deep()).await;
    assert!(report.is_clean(), "{:#?}", report.findings.list);
    assert_eq!(report.findings.kinds[&Kind::ManifestRefused], 2);
}

/// A push that has committed and whose links are not written yet, as a crash leaves it.
#[tokio::test]
async fn what_the_journal_holds_is_pending_until_the_next_start() {
    let house = furnished().await;
    let storage = house.open().await;
    let (repo, manifest) = (repo(APP), image("three", Algorithm::Sha256));
    for content in ["config three", "layer three"] {
        push_blob(&storage, &repo, content.as_bytes(), Algorithm::Sha256).await;
    }
    let (key, bytes) = (layout::blob(&manifest.digest()), manifest.bytes().clone());
    let store = storage.store();
    store
        .put(&key, bytes, storage::Durability::Now)
        .await
        .unwrap();
    let new = NewManifest {
        repo: &repo,
        manifest: &manifest,
        tags: &[tag("v1"), tag("v3")],
        moves: MoveTags::Allowed,
        sparse: Sparse::Refused,
        cause: &now().into(),
    };
    storage.index().put_manifest(&new).await.unwrap();
    storage
        .index()
        .delete_tag(&repo, &tag("opaque"), &now().into())
        .await
        .unwrap();
    drop(storage);
    let report = house.fsck(deep()).await;
    assert!(report.is_clean(), "{:#?}", report.findings.list);
    // A revision, a tag that moved and one that is new, two links each, and one that is gone.
    assert_eq!(report.findings.kinds[&Kind::LinkPending], 6 - 1 + 1);

    drop(house.open().await);
    assert_eq!(house.found(deep()).await, [""; 0]);
}

/// Beside a server, what looks wrong for a moment is not reported.
#[tokio::test]
async fn what_looks_wrong_is_looked_at_again() {
    let house = furnished().await;
    let key = layout::blob(&layer_one());
    let aside = house.file(&key).with_extension("aside");
    fs::rename(house.file(&key), &aside).unwrap();
    let options = Options {
        again_after: Some(Duration::from_millis(1)),
        ..deep()
    };
    // The first word of progress comes when all blobs were looked at, and before the second look.
    let heal = |checked: Checked| {
        if checked.blobs > 0 && aside.exists() {
            fs::rename(&aside, house.file(&key)).unwrap();
        }
    };
    let report = fsck(&house.store(), &house.index(), options, &heal)
        .await
        .unwrap();
    assert!(!aside.exists());
    assert!(
        report.findings.list.is_empty(),
        "{:#?}",
        report.findings.list
    );

    house.remove(&key);
    assert_eq!(house.found(options).await, ["blob.missing"]);
}
