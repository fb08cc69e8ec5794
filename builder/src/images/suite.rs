//! What every [`Images`] must do, one function a clause. [`images_suite!`](crate::images_suite) makes a test of each, so a failure
//! names the registry and the clause.

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a suite reports by panicking"
)]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::sync::Arc;

use oci::{Algorithm, Descriptor, Digest, Manifest, MediaType, RepoName, Tag};
use serde_json::json;

use super::{Images, ImagesError};
use crate::records::Actor;

/// A registry under test, with one who may read and write the repositories `suite/one` and `suite/two` and nothing of
/// `suite-closed`, if it knows rights at all.
pub type Registry = (Arc<dyn Images>, Actor);

/// One test per clause for the registry that `$open` opens: an expression of `(Registry, keep)`, where `keep` is whatever must
/// live as long.
#[macro_export]
macro_rules! images_suite {
    ($open:expr) => {
        $crate::images_suite!($open;
            a_blob_is_what_was_put,
            a_blob_with_another_digest_is_refused,
            what_is_not_there_is_none,
            a_manifest_is_had_by_tag_and_digest,
            a_tag_moves,
            a_manifest_without_its_blobs_is_refused,
            a_manifest_without_tags_is_had_by_its_digest,
            a_blob_is_mounted,
        );
    };
    ($open:expr; $($clause:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $clause() {
                let (registry, _keep) = $open;
                $crate::images::suite::$clause(registry).await;
            }
        )+
    };
}

fn repo(name: &str) -> RepoName {
    RepoName::parse(name).expect("a repository")
}

fn file(content: &[u8]) -> File {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(content).expect("content");
    // Its position is at its end: it is stored from the beginning nevertheless.
    file
}

fn digest(content: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, content)
}

async fn put((images, actor): &Registry, at: &str, content: &[u8]) -> Digest {
    let digest = digest(content);
    let put = images
        .put_blob(actor, &repo(at), &digest, file(content))
        .await;
    put.expect("a blob is stored");
    digest
}

async fn read((images, actor): &Registry, at: &str, digest: &Digest) -> Option<Vec<u8>> {
    let blob = images.blob(actor, &repo(at), digest).await;
    let mut blob = blob.expect("an answer")?;
    let read = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        blob.read_to_end(&mut bytes).map(|_| bytes)
    });
    Some(read.await.expect("a thread").expect("a blob's bytes"))
}

fn manifest(config: &[u8]) -> Manifest {
    let config = Descriptor::new(MediaType::OCI_CONFIG, digest(config), config.len() as u64);
    let body = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": config,
        "layers": [],
    });
    let body = body.to_string().into_bytes();
    Manifest::parse(body.into(), None, Algorithm::Sha256).expect("a manifest")
}

fn tag(text: &str) -> Tag {
    Tag::parse(text).expect("a tag")
}

/// Also twice.
pub async fn a_blob_is_what_was_put(registry: Registry) {
    for _ in 0..2 {
        let digest = put(&registry, "suite/one", b"some bytes").await;
        let found = read(&registry, "suite/one", &digest).await;
        assert_eq!(found.expect("the blob"), b"some bytes");
    }
}

/// And is not there then.
pub async fn a_blob_with_another_digest_is_refused(registry: Registry) {
    let (images, actor) = &registry;
    let wrong = digest(b"what was promised");
    let put = images
        .put_blob(actor, &repo("suite/one"), &wrong, file(b"what came"))
        .await;
    assert!(matches!(put, Err(ImagesError::Refused(_))), "{put:?}");
    assert_eq!(read(&registry, "suite/one", &wrong).await, None);
}

/// Neither blob nor manifest, by tag or digest, in a repository that is there or not.
pub async fn what_is_not_there_is_none(registry: Registry) {
    put(&registry, "suite/one", b"makes the repository").await;
    let (images, actor) = &registry;
    let nothing = digest(b"nothing");
    for at in ["suite/one", "suite/two"] {
        assert_eq!(read(&registry, at, &nothing).await, None);
        for reference in [nothing.into(), tag("none").into()] {
            let found = images.manifest(actor, &repo(at), &reference).await;
            assert!(found.expect("an answer").is_none(), "{reference}");
        }
    }
}

/// With its bytes.
pub async fn a_manifest_is_had_by_tag_and_digest(registry: Registry) {
    put(&registry, "suite/one", b"{}").await;
    let (images, actor) = &registry;
    let manifest = manifest(b"{}");
    let (one, tags) = (repo("suite/one"), [tag("v1"), tag("latest")]);
    let put = images.put_manifest(actor, &one, &manifest, &tags).await;
    put.expect("a manifest is stored");
    for reference in [
        tag("v1").into(),
        tag("latest").into(),
        manifest.digest().into(),
    ] {
        let found = images.manifest(actor, &one, &reference).await;
        let found = found.expect("an answer").expect("the manifest");
        assert_eq!(found.bytes(), manifest.bytes());
        assert_eq!(found.media_type(), manifest.media_type());
    }
    let other = images
        .manifest(actor, &repo("suite/two"), &tag("v1").into())
        .await;
    assert!(
        other.expect("an answer").is_none(),
        "another repository has it not"
    );
}

/// What it pointed to stays, by its digest.
pub async fn a_tag_moves(registry: Registry) {
    let (images, actor) = &registry;
    let one = repo("suite/one");
    let mut manifests = Vec::new();
    for config in [&b"{}"[..], b"{\"os\":\"linux\"}"] {
        put(&registry, "suite/one", config).await;
        let manifest = manifest(config);
        let put = images
            .put_manifest(actor, &one, &manifest, &[tag("v1")])
            .await;
        put.expect("a manifest is stored");
        let found = images.manifest(actor, &one, &tag("v1").into()).await;
        let found = found.expect("an answer").expect("the manifest");
        assert_eq!(found.digest(), manifest.digest());
        manifests.push(manifest);
    }
    let old = images
        .manifest(actor, &one, &manifests[0].digest().into())
        .await;
    assert!(old.expect("an answer").is_some());
}

/// And its tag does not exist then.
pub async fn a_manifest_without_its_blobs_is_refused(registry: Registry) {
    put(&registry, "suite/one", b"makes the repository").await;
    let (images, actor) = &registry;
    let (one, manifest) = (repo("suite/one"), manifest(b"{\"never\":1}"));
    let put = images
        .put_manifest(actor, &one, &manifest, &[tag("v1")])
        .await;
    assert!(matches!(put, Err(ImagesError::Refused(_))), "{put:?}");
    let found = images.manifest(actor, &one, &tag("v1").into()).await;
    assert!(found.expect("an answer").is_none());
}

/// As a source snapshot is kept.
pub async fn a_manifest_without_tags_is_had_by_its_digest(registry: Registry) {
    put(&registry, "suite/one", b"{}").await;
    let (images, actor) = &registry;
    let (one, manifest) = (repo("suite/one"), manifest(b"{}"));
    let put = images.put_manifest(actor, &one, &manifest, &[]).await;
    put.expect("a manifest is stored");
    let found = images
        .manifest(actor, &one, &manifest.digest().into())
        .await;
    assert!(found.expect("an answer").is_some());
}

/// From where it is; from where it is not, that is said.
pub async fn a_blob_is_mounted(registry: Registry) {
    let digest = put(&registry, "suite/one", b"a base layer").await;
    let (images, actor) = &registry;
    let (one, two) = (repo("suite/one"), repo("suite/two"));
    let mounted = images.mount(actor, &two, &one, &digest).await;
    assert!(mounted.expect("an answer"));
    let found = read(&registry, "suite/two", &digest).await;
    assert_eq!(found.expect("the blob"), b"a base layer");
    let nothing = self::digest(b"nothing");
    let mounted = images.mount(actor, &two, &one, &nothing).await;
    assert!(!mounted.expect("an answer"));
}
