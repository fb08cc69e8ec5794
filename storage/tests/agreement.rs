//! Whatever happens, objects and index agree: the index that is rebuilt from the objects is the
//! index that was there.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod house;

use futures_util::{StreamExt as _, stream};
use house::{
    House, descriptor, dump, dump_file, image, manifest, now, push_blob, push_image, put, repo, tag,
};
use oci::{Algorithm, Digest, Manifest, MediaType, RepoName, Tag};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;
use storage::Storage;
use storage::fsck::{Kind, Options};

/// What a client can do. Numbers name contents, so that operations meet each other's.
#[derive(Debug, Clone)]
enum Deed {
    Blob(RepoName, u8, Algorithm),
    Mount(RepoName, RepoName, u8),
    Unlink(RepoName, u8),
    Image(RepoName, u8, Algorithm, Vec<Tag>),
    /// An image whose blobs need not be there.
    Sparse(RepoName, u8, Vec<Tag>),
    /// An index of images that need not be there.
    Index(RepoName, Vec<u8>, Vec<Tag>),
    /// A manifest about an image that need not be there.
    Referrer(RepoName, u8),
    /// A manifest whose bytes do not tell its media type.
    Opaque(RepoName, u8, Vec<Tag>),
    DeleteTag(RepoName, Tag),
    DeleteManifest(RepoName, u8),
    /// An upload that nobody finishes.
    Abandon(RepoName),
    /// The server stops without a word, and starts.
    Kill,
}

fn repos() -> impl Strategy<Value = RepoName> {
    select(vec!["a", "a-b", "a/b", "deep/er/than/that"]).prop_map(repo)
}

fn tags() -> impl Strategy<Value = Tag> {
    select(vec!["v1", "v1-b", "v1.0", "latest"]).prop_map(tag)
}

fn some_tags() -> impl Strategy<Value = Vec<Tag>> {
    prop::collection::vec(tags(), 0..3)
}

fn algorithms() -> impl Strategy<Value = Algorithm> {
    select(Algorithm::ALL.to_vec())
}

fn deeds() -> impl Strategy<Value = Deed> {
    let n = || 0..4_u8;
    prop_oneof![
        2 => (repos(), n(), algorithms()).prop_map(|(r, n, a)| Deed::Blob(r, n, a)),
        2 => (repos(), repos(), n()).prop_map(|(to, from, n)| Deed::Mount(to, from, n)),
        2 => (repos(), n()).prop_map(|(r, n)| Deed::Unlink(r, n)),
        4 => (repos(), n(), algorithms(), some_tags()).prop_map(|(r, n, a, t)| Deed::Image(r, n, a, t)),
        1 => (repos(), n(), some_tags()).prop_map(|(r, n, t)| Deed::Sparse(r, n, t)),
        2 => (repos(), prop::collection::vec(n(), 0..3), some_tags())
            .prop_map(|(r, n, t)| Deed::Index(r, n, t)),
        2 => (repos(), n()).prop_map(|(r, n)| Deed::Referrer(r, n)),
        1 => (repos(), n(), some_tags()).prop_map(|(r, n, t)| Deed::Opaque(r, n, t)),
        2 => (repos(), tags()).prop_map(|(r, t)| Deed::DeleteTag(r, t)),
        3 => (repos(), n()).prop_map(|(r, n)| Deed::DeleteManifest(r, n)),
        1 => repos().prop_map(Deed::Abandon),
        1 => Just(Deed::Kill),
    ]
}

fn of(n: u8) -> Manifest {
    image(&n.to_string(), Algorithm::Sha256)
}

fn layer(n: u8) -> Digest {
    house::sha256(format!("layer {n}").as_bytes())
}

fn index(listed: &[u8]) -> Manifest {
    let listed: Vec<_> = listed
        .iter()
        .map(|n| descriptor(MediaType::OCI_MANIFEST, of(*n).digest(), of(*n).bytes()))
        .collect();
    let body = json!({"schemaVersion": 2, "manifests": listed});
    manifest(&body, &MediaType::OCI_INDEX, Algorithm::Sha256)
}

fn referrer(n: u8) -> Manifest {
    let body = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_ARTIFACT,
        "artifactType": "application/vnd.example.signature",
        "blobs": [],
        "subject": descriptor(MediaType::OCI_MANIFEST, of(n).digest(), of(n).bytes()),
        "annotations": {"of": n.to_string()},
    });
    manifest(&body, &MediaType::OCI_ARTIFACT, Algorithm::Sha256)
}

fn opaque(n: u8) -> Manifest {
    let media_type = MediaType::parse("application/vnd.example+json").unwrap();
    manifest(
        &json!({"config": null, "n": n}),
        &media_type,
        Algorithm::Sha512,
    )
}

async fn act(storage: &Storage, deed: &Deed) {
    let (blobs, catalog) = (&storage.blobs, &storage.catalog);
    match deed {
        Deed::Blob(repo, n, algorithm) => {
            push_blob(storage, repo, format!("layer {n}").as_bytes(), *algorithm).await;
        }
        Deed::Mount(into, from, n) => {
            blobs.mount(into, from, &layer(*n), now()).await.unwrap();
        }
        Deed::Unlink(repo, n) => {
            blobs.unlink(repo, &layer(*n), now()).await.unwrap();
        }
        Deed::Image(repo, n, algorithm, tags) => {
            push_image(storage, repo, &n.to_string(), *algorithm, tags).await;
        }
        Deed::Sparse(repo, n, tags) => {
            put(storage, repo, &of(*n), tags).await;
        }
        Deed::Index(repo, listed, tags) => {
            put(storage, repo, &index(listed), tags).await;
        }
        Deed::Referrer(repo, n) => {
            put(storage, repo, &referrer(*n), &[]).await;
        }
        Deed::Opaque(repo, n, tags) => {
            put(storage, repo, &opaque(*n), tags).await;
        }
        Deed::DeleteTag(repo, tag) => {
            catalog.delete_tag(repo, tag, now()).await.unwrap();
        }
        Deed::DeleteManifest(repo, n) => {
            for manifest in [of(*n), referrer(*n), opaque(*n)] {
                catalog
                    .delete_manifest(repo, &manifest.digest(), now())
                    .await
                    .unwrap();
            }
        }
        Deed::Abandon(repo) => {
            let uploads = &storage.uploads;
            let id = uploads.start(repo, "ada", None, now()).await.unwrap();
            let body = stream::iter([Ok("half".into())]).boxed();
            uploads
                .append(repo, "ada", &id, None, body, now())
                .await
                .unwrap();
        }
        Deed::Kill => {}
    }
}

async fn agree(deeds: &[Deed], is_closed: bool) -> Result<(), TestCaseError> {
    let house = House::new();
    let mut storage = house.open().await;
    for deed in deeds {
        if matches!(deed, Deed::Kill) {
            drop(storage);
            storage = house.open().await;
        }
        act(&storage, deed).await;
    }
    if is_closed {
        storage.close().await.unwrap();
    }
    let before = dump(&**storage.index()).await;
    drop(storage);

    let options = Options {
        deep: true,
        ..Options::default()
    };
    let report = house.fsck(options).await;
    prop_assert!(report.is_clean(), "{:#?}", report.findings.list);
    // Everything that is left over has its reason; sessions that go on are not left over.
    let allowed = [Kind::BlobUnreferenced, Kind::ManifestIncomplete];
    prop_assert!(
        report
            .findings
            .kinds
            .keys()
            .all(|kind| allowed.contains(kind)),
        "{:#?}",
        report.findings.list
    );

    let reindexed = house.reindex().await;
    prop_assert!(
        reindexed.findings.is_clean(),
        "{:#?}",
        reindexed.findings.list
    );
    prop_assert_eq!(dump_file(&house.index_file()).await, before);
    prop_assert!(house.fsck(options).await.is_clean());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn objects_and_index_agree(deeds in prop::collection::vec(deeds(), 1..24), is_closed: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(agree(&deeds, is_closed))?;
    }
}

/// Concurrent tag moves and deletes, after which the links must be where the index is.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn races_leave_the_links_where_the_index_is() {
    let house = House::new();
    let storage = std::sync::Arc::new(house.open().await);
    let repo = repo("a/b");
    for n in 0..4_u8 {
        push_image(&storage, &repo, &n.to_string(), Algorithm::Sha256, &[]).await;
    }
    let clients = (0..8_u8).map(|client| {
        let (storage, repo) = (std::sync::Arc::clone(&storage), repo.clone());
        tokio::spawn(async move {
            for round in 0..12_u8 {
                let n = (client + round) % 4;
                let repo = repo.clone();
                let deed = match round % 4 {
                    3 if client % 2 == 0 => Deed::DeleteTag(repo, tag("v1")),
                    3 => Deed::DeleteManifest(repo, n),
                    _ => Deed::Sparse(repo, n, vec![tag("v1"), tag("v2")]),
                };
                act(&storage, &deed).await;
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    storage.close().await.unwrap();
    let before = dump(&**storage.index()).await;
    drop(storage);
    assert_eq!(
        house
            .found(Options {
                deep: true,
                ..Options::default()
            })
            .await,
        [""; 0]
    );
    house.reindex().await;
    assert_eq!(dump_file(&house.index_file()).await, before);
}
