//! What a manifest needs, may be and takes with it.

use std::sync::Arc;

use oci::{Descriptor, Manifest, MediaType};
use serde_json::json;

use super::Subject;
use super::material::{
    BLOB_SIZE, artifact, blob, clear, descriptor, hold, image, links, list, manifest, push, put,
    repo, tag, tag_names, tagged, then,
};
use crate::index::{Edge, EdgeKind, NewManifest, PutOutcome};
use crate::{MoveTags, Sparse};

pub async fn a_manifest_needs_all_its_blobs(index: Subject) {
    let (a, b) = (repo("a"), repo("b"));
    hold(&index, &a, &[1]).await;
    // Held elsewhere is not held here.
    hold(&index, &b, &[2, 3]).await;
    clear(&index).await;
    let image = image(1, &[2, 3, 2]);
    let missing = vec![blob(2), blob(3)];
    assert_eq!(
        put(&index, &a, &image, &["v1"]).await,
        PutOutcome::MissingBlobs(missing)
    );
    assert_eq!(index.manifest(&a, &image.digest()).await.unwrap(), None);
    assert_eq!(tagged(&index, &a, "v1").await, None);
    assert_eq!(index.repositories(None, 10).await.unwrap(), []);
    assert_eq!(links(&index).await, []);
    hold(&index, &a, &[2, 3]).await;
    assert_eq!(put(&index, &a, &image, &["v1"]).await, PutOutcome::Done);
    let facts = index.manifest(&a, &image.digest()).await.unwrap().unwrap();
    assert_eq!(facts.media_type, MediaType::OCI_MANIFEST);
    assert_eq!(facts.size, image.bytes().len() as u64);
    assert_eq!(tagged(&index, &a, "v1").await, Some(image.digest()));
    assert_eq!(index.manifest(&b, &image.digest()).await.unwrap(), None);
}

pub async fn what_may_be_absent_is_not_needed(index: Subject) {
    let a = repo("a");
    hold(&index, &a, &[1]).await;
    let foreign = descriptor(MediaType::DOCKER_LAYER_FOREIGN_GZIP, blob(9));
    let image = manifest(
        &MediaType::DOCKER_MANIFEST,
        &json!({
            "schemaVersion": 2,
            "mediaType": MediaType::DOCKER_MANIFEST.as_str(),
            "config": descriptor(MediaType::DOCKER_CONFIG, blob(1)),
            "layers": [foreign],
        }),
    );
    assert_eq!(put(&index, &a, &image, &[]).await, PutOutcome::Done);
    // Children and a subject may come later, or never.
    let child = Descriptor::new(MediaType::OCI_MANIFEST, blob(10), 1);
    assert_eq!(
        put(&index, &a, &list(&[child]), &[]).await,
        PutOutcome::Done
    );
    let about = artifact(1, &[], Some(blob(11)), None, &[]);
    assert_eq!(put(&index, &a, &about, &[]).await, PutOutcome::Done);
}

pub async fn a_sparse_image_needs_none(index: Subject) {
    let (a, image) = (repo("a"), image(1, &[2]));
    let new = NewManifest {
        repo: &a,
        manifest: &image,
        tags: &[],
        moves: MoveTags::Refused,
        sparse: Sparse::Allowed,
        cause: then(),
    };
    assert_eq!(index.put_manifest(&new).await.unwrap(), PutOutcome::Done);
    // It is named, not there.
    assert_eq!(index.blob_size(&blob(2)).await.unwrap(), None);
    assert_eq!(index.blob(&a, &blob(2)).await.unwrap(), None);
}

pub async fn pushing_again_changes_nothing(index: Subject) {
    let a = repo("a");
    hold(&index, &a, &[1, 2]).await;
    let image = image(1, &[2]);
    put(&index, &a, &image, &["v1"]).await;
    let before = index.revisions(&a, None, 10).await.unwrap();
    assert_eq!(put(&index, &a, &image, &["v1"]).await, PutOutcome::Done);
    assert_eq!(index.revisions(&a, None, 10).await.unwrap(), before);
    index
        .delete_manifest(&a, &image.digest(), then())
        .await
        .unwrap();
    // It was counted once: nothing is left.
    assert_eq!(index.repositories(None, 10).await.unwrap(), []);
}

pub async fn the_same_bytes_may_get_another_type(index: Subject) {
    let a = repo("a");
    hold(&index, &a, &[1]).await;
    let (oci, other) = two_types();
    assert_ne!(oci.artifact_type(), other.artifact_type());
    put(&index, &a, &oci, &["v1"]).await;
    put(&index, &a, &other, &[]).await;
    let facts = index.tag(&a, &tag("v1")).await.unwrap().unwrap();
    assert_eq!(facts.media_type, *other.media_type());
    let record = index.revision(&a, &oci.digest()).await.unwrap().unwrap();
    assert_eq!(record.edges, Edge::of(&other));
    assert_eq!(record.artifact_type.as_deref(), other.artifact_type());
}

/// CVE-2026-31801: who may only create could change what a tag serves, by pushing its bytes as something else.
pub async fn another_type_needs_the_right_to_move_tags(index: Subject) {
    let a = repo("a");
    hold(&index, &a, &[1]).await;
    let (oci, other) = two_types();
    let first = push(&index, &a, &oci, &["latest"], MoveTags::Refused).await;
    assert_eq!(first, PutOutcome::Done);
    let before = index.revisions(&a, None, 10).await.unwrap();
    clear(&index).await;
    for tags in [[].as_slice(), &["latest"], &["new"]] {
        let refused = push(&index, &a, &other, tags, MoveTags::Refused).await;
        assert_eq!(refused, PutOutcome::OtherType(MediaType::OCI_MANIFEST));
    }
    assert_eq!(index.revisions(&a, None, 10).await.unwrap(), before);
    assert_eq!(tagged(&index, &a, "new").await, None);
    assert_eq!(links(&index).await, []);
    // The same as before, and another repository, are no change.
    let same = push(&index, &a, &oci, &["new"], MoveTags::Refused).await;
    assert_eq!(same, PutOutcome::Done);
    let b = repo("b");
    hold(&index, &b, &[1]).await;
    let elsewhere = push(&index, &b, &other, &["latest"], MoveTags::Refused).await;
    assert_eq!(elsewhere, PutOutcome::Done);
    let facts = index.tag(&a, &tag("latest")).await.unwrap().unwrap();
    assert_eq!(facts.media_type, MediaType::OCI_MANIFEST);
}

/// Whoever pushes first says what the bytes are; the transaction decides, not a look before it.
pub async fn of_racing_types_one_wins(index: Subject) {
    for round in 0..16 {
        let a = repo(&format!("a{round}"));
        hold(&index, &a, &[1]).await;
        let (oci, other) = two_types();
        let racers = [oci, other].map(|manifest| {
            let (index, a) = (Arc::clone(&index), a.clone());
            tokio::spawn(async move {
                let outcome = push(&index, &a, &manifest, &[], MoveTags::Refused).await;
                (manifest, outcome)
            })
        });
        let mut done = Vec::new();
        let mut refused = Vec::new();
        for racer in racers {
            match racer.await.unwrap() {
                (manifest, PutOutcome::Done) => done.push(manifest),
                (_, outcome) => refused.push(outcome),
            }
        }
        let [winner] = done.try_into().unwrap();
        let known = winner.media_type().clone();
        assert_eq!(refused, [PutOutcome::OtherType(known.clone())]);
        let facts = index.manifest(&a, &winner.digest()).await.unwrap();
        assert_eq!(facts.unwrap().media_type, known);
    }
}

pub async fn deleting_a_manifest_frees_its_tags(index: Subject) {
    let (a, b) = (repo("a"), repo("b"));
    for repo in [&a, &b] {
        hold(&index, repo, &[1, 2]).await;
    }
    let (one, two) = (image(1, &[]), image(2, &[]));
    put(&index, &a, &one, &["v1", "v2"]).await;
    put(&index, &b, &one, &["v1"]).await;
    put(&index, &a, &two, &["v3"]).await;
    let mut freed = index
        .delete_manifest(&a, &one.digest(), then())
        .await
        .unwrap()
        .unwrap();
    freed.sort();
    assert_eq!(freed, [tag("v1"), tag("v2")]);
    assert_eq!(
        index
            .delete_manifest(&a, &one.digest(), then())
            .await
            .unwrap(),
        None
    );
    assert_eq!(tag_names(&index, &a, None, 10).await, ["v3"]);
    assert_eq!(tagged(&index, &b, "v1").await, Some(one.digest()));
    // Blobs stay until they are unlinked.
    assert_eq!(index.blob(&a, &blob(1)).await.unwrap(), Some(BLOB_SIZE));
}

pub async fn records_tell_what_a_manifest_names(index: Subject) {
    let a = repo("a");
    hold(&index, &a, &[1, 2, 3]).await;
    // One blob may be named twice, also as two things.
    let about = artifact(1, &[3, 2, 3, 1], Some(blob(50)), Some("a/b"), &[]);
    put(&index, &a, &about, &[]).await;
    let record = index.revision(&a, &about.digest()).await.unwrap().unwrap();
    assert_eq!(record.edges, Edge::of(&about));
    assert_eq!(record.edges.len(), 5);
    let subject = Edge {
        kind: EdgeKind::Subject,
        target: blob(50),
    };
    assert!(record.edges.contains(&subject));
    assert_eq!(record.artifact_type.as_deref(), Some("a/b"));
    assert_eq!(index.revisions(&a, None, 10).await.unwrap(), [record]);
    let held = index
        .held_manifests(&a, &[blob(1), about.digest()])
        .await
        .unwrap();
    assert_eq!(held, [about.digest()]);
    // What is only named is not there.
    assert_eq!(index.blob_size(&blob(50)).await.unwrap(), None);
    assert_eq!(index.all_blobs(None, 100).await.unwrap().len(), 4);
    let size = Some(about.bytes().len() as u64);
    assert_eq!(index.blob_size(&about.digest()).await.unwrap(), size);
}

/// The same bytes, which do not say what they are, as an image and as something else.
fn two_types() -> (Manifest, Manifest) {
    let body = json!({
        "schemaVersion": 2,
        "config": descriptor(MediaType::OCI_CONFIG, blob(1)),
        "layers": [],
    });
    let other_type = MediaType::parse("application/vnd.example+json").unwrap();
    let types = [&MediaType::OCI_MANIFEST, &other_type];
    let [oci, other] = types.map(|media_type| manifest(media_type, &body));
    assert_eq!(oci.digest(), other.digest());
    (oci, other)
}
