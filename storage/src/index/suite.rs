//! What every [`Index`] must do, one function a clause. [`index_suite!`] makes a test of each, so a failure names the
//! index and the clause.
#![expect(
    missing_docs,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "clauses of tests: their names say what they demand, and they fail by panicking"
)]

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use oci::{Algorithm, Descriptor, Digest, Manifest, MediaType, RepoName, Tag, UploadId};
use serde_json::{Value, json};

use super::{
    Edge, EdgeKind, Fact, InvalidBatch, KeptToken, Link, LinkState, MAX_BATCH_BYTES,
    MAX_RECORD_BYTES, MAX_REFERRERS_BYTES, NewManifest, PutOutcome, Record, RecordBatch, RecordKey,
    RecordWrite, RecordsWritten, Referrers, Session, Unlink, WhenFull,
};
use crate::audit::{
    Audit, Cause, Class, Entry, Origin, Outcome, Page, Place, Proof, Query, Retention, Row, Verb,
};
use crate::{Durability, Index, MoveTags, Sparse};

/// An index under test.
pub type Subject = Arc<dyn Index>;

/// One test per clause for the index that `$open` opens; it returns the index and whatever must live as long.
#[macro_export]
macro_rules! index_suite {
    ($open:expr) => {
        $crate::index_suite!($open;
            a_new_index_knows_nothing,
            a_blob_is_seen_only_where_it_is_held,
            linking_again_counts_once,
            mounting_needs_a_holder,
            a_blob_that_a_manifest_needs_stays,
            holders_are_paged,
            an_upload_session_lives_until_its_blob_is_linked,
            idle_sessions_are_found,
            nobody_has_more_sessions_than_allowed,
            a_manifest_needs_all_its_blobs,
            what_may_be_absent_is_not_needed,
            a_sparse_image_needs_none,
            a_tag_moves_only_when_it_may,
            pushing_again_changes_nothing,
            the_same_bytes_may_get_another_type,
            another_type_needs_the_right_to_move_tags,
            deleting_a_tag_keeps_the_manifest,
            deleting_a_manifest_frees_its_tags,
            a_repository_lives_as_long_as_its_manifests,
            tags_are_paged_in_byte_order,
            repositories_are_paged_in_byte_order,
            referrers_are_filtered_and_paged,
            a_page_of_referrers_has_a_weight,
            every_change_is_in_the_journal,
            clearing_the_journal_leaves_what_came_since,
            records_tell_what_a_manifest_names,
            what_has_no_ground_is_not_loaded,
            everything_is_counted,
            tokens_are_kept_by_their_names,
            nobody_has_more_tokens_than_allowed,
            tokens_are_taken_over_as_they_were,
            of_racing_first_pushes_one_wins,
            of_racing_types_one_wins,
            racing_moves_leave_one_of_them,
            a_change_leaves_its_rows_and_a_refused_one_none,
            a_change_of_nobody_leaves_no_row,
            what_is_noted_comes_back_as_it_was,
            the_record_is_searched_by_every_condition,
            pages_of_the_record_miss_nothing,
            a_long_search_goes_on_where_it_stopped,
            rows_expire_by_class,
            numbers_are_never_given_twice,
            rows_are_carried_with_their_numbers,
            a_record_is_written_at_its_revision,
            a_batch_of_records_is_all_or_nothing,
            records_are_paged_by_name_and_prefix,
            a_page_of_records_has_a_weight,
            open_records_are_found_in_all_namespaces,
            namespaces_of_records_are_paged,
            records_are_carried_as_they_were,
            of_racing_writes_of_a_record_one_wins,
        );
    };
    ($open:expr; $($clause:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $clause() {
                let (index, _keep) = $open;
                $crate::index::suite::$clause(index).await;
            }
        )+
    };
}

/// A repository's name.
pub fn repo(name: &str) -> RepoName {
    RepoName::parse(name).unwrap()
}

/// A tag.
pub fn tag(name: &str) -> Tag {
    Tag::parse(name).unwrap()
}

/// The digest of some content that is told by a number.
pub fn blob(number: u64) -> Digest {
    Digest::of(Algorithm::Sha256, &number.to_le_bytes())
}

/// Bytes of [`blob`].
pub const BLOB_SIZE: u64 = 8;

/// A time, in seconds after 1970.
pub fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// A change at that time which nobody is to be named for.
pub fn then() -> &'static Cause {
    static THEN: LazyLock<Cause> = LazyLock::new(|| at(1).into());
    &THEN
}

fn descriptor(media_type: MediaType, digest: Digest) -> Value {
    serde_json::to_value(Descriptor::new(media_type, digest, BLOB_SIZE)).unwrap()
}

fn manifest(media_type: &MediaType, body: &Value) -> Manifest {
    let bytes = Bytes::from(serde_json::to_vec(body).unwrap());
    Manifest::parse(bytes, Some(media_type), Algorithm::Sha256).unwrap()
}

/// An image of the blobs `config` and `layers`.
pub fn image(config: u64, layers: &[u64]) -> Manifest {
    artifact(config, layers, None, None, &[])
}

/// An image manifest about `subject`.
pub fn artifact(
    config: u64,
    layers: &[u64],
    subject: Option<Digest>,
    artifact_type: Option<&str>,
    annotations: &[(&str, &str)],
) -> Manifest {
    let layers: Vec<Value> = layers
        .iter()
        .map(|layer| descriptor(MediaType::OCI_LAYER_GZIP, blob(*layer)))
        .collect();
    let mut body = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST.as_str(),
        "config": descriptor(MediaType::OCI_CONFIG, blob(config)),
        "layers": layers,
    });
    if let Some(subject) = subject {
        body["subject"] = descriptor(MediaType::OCI_MANIFEST, subject);
    }
    if let Some(artifact_type) = artifact_type {
        body["artifactType"] = artifact_type.into();
    }
    for (key, value) in annotations {
        body["annotations"][key] = (*value).into();
    }
    manifest(&MediaType::OCI_MANIFEST, &body)
}

/// An image index of these manifests.
pub fn list(children: &[Descriptor]) -> Manifest {
    let body = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_INDEX.as_str(),
        "manifests": children,
    });
    manifest(&MediaType::OCI_INDEX, &body)
}

/// Pushes what may move tags.
pub async fn put(
    index: &Subject,
    repo: &RepoName,
    manifest: &Manifest,
    tags: &[&str],
) -> PutOutcome {
    push(index, repo, manifest, tags, MoveTags::Allowed).await
}

async fn push(
    index: &Subject,
    repo: &RepoName,
    manifest: &Manifest,
    tags: &[&str],
    moves: MoveTags,
) -> PutOutcome {
    let tags: Vec<Tag> = tags.iter().map(|name| tag(name)).collect();
    let new = NewManifest {
        repo,
        manifest,
        tags: &tags,
        moves,
        sparse: Sparse::Refused,
        cause: then(),
    };
    index.put_manifest(&new).await.unwrap()
}

/// Links blobs.
pub async fn hold(index: &Subject, repo: &RepoName, blobs: &[u64]) {
    for number in blobs {
        let digest = blob(*number);
        let linked = index.link_blob(repo, &digest, BLOB_SIZE, None, then());
        linked.await.unwrap();
    }
}

async fn tagged(index: &Subject, repo: &RepoName, name: &str) -> Option<Digest> {
    let facts = index.tag(repo, &tag(name)).await.unwrap();
    facts.map(|facts| facts.digest)
}

async fn tag_names(
    index: &Subject,
    repo: &RepoName,
    last: Option<&str>,
    limit: usize,
) -> Vec<String> {
    let tags = index.tags(repo, last, limit).await.unwrap().unwrap();
    tags.iter().map(ToString::to_string).collect()
}

async fn clear(index: &Subject) {
    let rows: Vec<i64> = journal(index).await.into_iter().map(|(id, _)| id).collect();
    index.clear_journal(&rows).await.unwrap();
}

async fn journal(index: &Subject) -> Vec<(i64, Link)> {
    let rows = index.journal(0, 1_000).await.unwrap();
    rows.into_iter().map(|row| (row.id, row.link)).collect()
}

async fn links(index: &Subject) -> Vec<Link> {
    journal(index)
        .await
        .into_iter()
        .map(|(_, link)| link)
        .collect()
}

pub async fn a_new_index_knows_nothing(index: Subject) {
    let a = repo("a");
    index.ping().await.unwrap();
    assert!(index.is_new().await.unwrap());
    assert_eq!(index.blob(&a, &blob(1)).await.unwrap(), None);
    assert_eq!(index.manifest(&a, &blob(1)).await.unwrap(), None);
    assert_eq!(index.tag(&a, &tag("v1")).await.unwrap(), None);
    assert_eq!(index.tags(&a, None, 10).await.unwrap(), None);
    assert_eq!(index.repositories(None, 10).await.unwrap(), []);
    assert_eq!(
        index.referrers(&a, &blob(1), None, None, 10).await.unwrap(),
        Referrers::default()
    );
    assert_eq!(
        index.delete_manifest(&a, &blob(1), then()).await.unwrap(),
        None
    );
    assert!(!index.delete_tag(&a, &tag("v1"), then()).await.unwrap());
    assert_eq!(links(&index).await, []);
    hold(&index, &a, &[1]).await;
    assert!(!index.is_new().await.unwrap());
}

pub async fn a_blob_is_seen_only_where_it_is_held(index: Subject) {
    let (a, b) = (repo("a"), repo("b"));
    hold(&index, &a, &[1]).await;
    assert_eq!(index.blob(&a, &blob(1)).await.unwrap(), Some(BLOB_SIZE));
    assert_eq!(index.blob(&b, &blob(1)).await.unwrap(), None);
    assert_eq!(index.blob(&a, &blob(2)).await.unwrap(), None);
    let asked = [blob(2), blob(1), blob(2)];
    assert_eq!(index.missing_blobs(&a, &asked).await.unwrap(), [blob(2)]);
    assert_eq!(
        index.missing_blobs(&b, &asked).await.unwrap(),
        [blob(2), blob(1)]
    );
    assert_eq!(
        index.unlink_blob(&a, &blob(1), then()).await.unwrap(),
        Unlink::Done
    );
    assert_eq!(index.blob(&a, &blob(1)).await.unwrap(), None);
    assert_eq!(
        index.unlink_blob(&a, &blob(1), then()).await.unwrap(),
        Unlink::Unknown
    );
    assert_eq!(index.blob_size(&blob(1)).await.unwrap(), Some(BLOB_SIZE));
}

pub async fn linking_again_counts_once(index: Subject) {
    let a = repo("a");
    hold(&index, &a, &[1, 1, 2]).await;
    assert_eq!(index.layers(&a, None, 10).await.unwrap().len(), 2);
    // A push that replaces damaged bytes also replaces what was known of them.
    index
        .link_blob(&a, &blob(1), 99, None, then())
        .await
        .unwrap();
    assert_eq!(index.blob(&a, &blob(1)).await.unwrap(), Some(99));
}

pub async fn mounting_needs_a_holder(index: Subject) {
    let (a, b) = (repo("a"), repo("b"));
    hold(&index, &a, &[1]).await;
    assert_eq!(
        index.mount_blob(&b, &a, &blob(2), then()).await.unwrap(),
        None
    );
    assert_eq!(
        index
            .mount_blob(&b, &repo("c"), &blob(1), then())
            .await
            .unwrap(),
        None
    );
    assert_eq!(index.blob(&b, &blob(1)).await.unwrap(), None);
    assert_eq!(
        index.mount_blob(&b, &a, &blob(1), then()).await.unwrap(),
        Some(BLOB_SIZE)
    );
    assert_eq!(index.blob(&b, &blob(1)).await.unwrap(), Some(BLOB_SIZE));
    assert_eq!(
        index.unlink_blob(&a, &blob(1), then()).await.unwrap(),
        Unlink::Done
    );
    assert_eq!(index.blob(&b, &blob(1)).await.unwrap(), Some(BLOB_SIZE));
}

pub async fn a_blob_that_a_manifest_needs_stays(index: Subject) {
    let (a, b) = (repo("a"), repo("b"));
    hold(&index, &a, &[1, 2]).await;
    hold(&index, &b, &[1, 2]).await;
    let image = image(1, &[2]);
    assert_eq!(put(&index, &a, &image, &[]).await, PutOutcome::Done);
    for number in [1, 2] {
        assert_eq!(
            index.unlink_blob(&a, &blob(number), then()).await.unwrap(),
            Unlink::Referenced
        );
        assert_eq!(
            index.unlink_blob(&b, &blob(number), then()).await.unwrap(),
            Unlink::Done
        );
    }
    index
        .delete_manifest(&a, &image.digest(), then())
        .await
        .unwrap();
    assert_eq!(
        index.unlink_blob(&a, &blob(2), then()).await.unwrap(),
        Unlink::Done
    );
}

pub async fn holders_are_paged(index: Subject) {
    let names: BTreeSet<RepoName> = (0..7).map(|n| repo(&format!("r{n}"))).collect();
    for name in &names {
        hold(&index, name, &[1]).await;
    }
    hold(&index, &repo("other"), &[2]).await;
    let mut seen = BTreeSet::new();
    let mut last: Option<RepoName> = None;
    loop {
        let page = index.holders(&blob(1), last.as_ref(), 3).await.unwrap();
        assert!(page.len() <= 3);
        let Some(end) = page.last() else { break };
        last = Some(end.clone());
        for name in page {
            assert!(seen.insert(name), "listed twice");
        }
    }
    assert_eq!(seen, names);
}

fn session(id: u8, touched: u64) -> Session {
    Session {
        id: UploadId::from_random([id; 16]),
        repo: repo("a"),
        owner: "user:5:alice".to_owned(),
        offset: 0,
        hashers: vec![1, 2],
        touched: at(touched),
    }
}

pub async fn an_upload_session_lives_until_its_blob_is_linked(index: Subject) {
    let mut session = session(1, 5);
    assert_eq!(index.upload(&session.id).await.unwrap(), None);
    assert!(index.create_upload(&session, 1).await.unwrap());
    assert_eq!(
        index.upload(&session.id).await.unwrap().as_ref(),
        Some(&session)
    );
    let done = index.checkpoint_upload(&session.id, 77, &[3], at(9));
    assert!(done.await.unwrap());
    session.offset = 77;
    session.hashers = vec![3];
    session.touched = at(9);
    assert_eq!(
        index.upload(&session.id).await.unwrap().as_ref(),
        Some(&session)
    );
    let digest = blob(1);
    let linked = index.link_blob(&session.repo, &digest, 77, Some(&session.id), then());
    linked.await.unwrap();
    assert_eq!(index.upload(&session.id).await.unwrap(), None);
    let late = index.checkpoint_upload(&session.id, 78, &[3], at(11));
    assert!(!late.await.unwrap());
    assert!(!index.delete_upload(&session.id).await.unwrap());
}

pub async fn idle_sessions_are_found(index: Subject) {
    for (id, touched) in [(1, 30), (2, 10), (3, 20), (4, 99)] {
        let created = index.create_upload(&session(id, touched), 9).await;
        assert!(created.unwrap());
    }
    let idle = index.idle_uploads(at(30), 10).await.unwrap();
    let ids: Vec<UploadId> = idle.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, [session(2, 0).id, session(3, 0).id]);
    assert_eq!(index.idle_uploads(at(100), 1).await.unwrap().len(), 1);
    assert!(index.delete_upload(&ids[0]).await.unwrap());
    assert_eq!(index.idle_uploads(at(30), 10).await.unwrap().len(), 1);
}

pub async fn nobody_has_more_sessions_than_allowed(index: Subject) {
    for (id, allowed) in [(1, true), (2, true), (3, false)] {
        let created = index.create_upload(&session(id, 1), 2).await;
        assert_eq!(created.unwrap(), allowed);
    }
    let refused = session(3, 1);
    assert_eq!(index.upload(&refused.id).await.unwrap(), None);
    let of_another = Session {
        owner: "user:3:bob".to_owned(),
        ..session(4, 1)
    };
    assert!(index.create_upload(&of_another, 2).await.unwrap());
    assert!(index.delete_upload(&session(1, 1).id).await.unwrap());
    assert!(index.create_upload(&refused, 2).await.unwrap());
}

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

pub async fn a_tag_moves_only_when_it_may(index: Subject) {
    let a = repo("a");
    hold(&index, &a, &[1, 2]).await;
    let (one, two) = (image(1, &[]), image(2, &[]));
    assert_eq!(
        push(&index, &a, &one, &["v1"], MoveTags::Refused).await,
        PutOutcome::Done
    );
    assert_eq!(
        push(&index, &a, &one, &["v1"], MoveTags::Refused).await,
        PutOutcome::Done
    );
    let refused = push(&index, &a, &two, &["v2", "v1"], MoveTags::Refused).await;
    assert_eq!(refused, PutOutcome::TagExists(tag("v1")));
    assert_eq!(index.manifest(&a, &two.digest()).await.unwrap(), None);
    assert_eq!(tagged(&index, &a, "v2").await, None);
    assert_eq!(tagged(&index, &a, "v1").await, Some(one.digest()));
    assert_eq!(put(&index, &a, &two, &["v1"]).await, PutOutcome::Done);
    assert_eq!(tagged(&index, &a, "v1").await, Some(two.digest()));
    // What a tag no longer points to is still there.
    assert!(index.manifest(&a, &one.digest()).await.unwrap().is_some());
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

pub async fn deleting_a_tag_keeps_the_manifest(index: Subject) {
    let a = repo("a");
    hold(&index, &a, &[1]).await;
    let image = image(1, &[]);
    put(&index, &a, &image, &["v1", "v2"]).await;
    assert!(index.delete_tag(&a, &tag("v1"), then()).await.unwrap());
    assert!(!index.delete_tag(&a, &tag("v1"), then()).await.unwrap());
    assert_eq!(tagged(&index, &a, "v1").await, None);
    assert_eq!(tagged(&index, &a, "v2").await, Some(image.digest()));
    assert!(index.manifest(&a, &image.digest()).await.unwrap().is_some());
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

pub async fn a_repository_lives_as_long_as_its_manifests(index: Subject) {
    let a = repo("a");
    hold(&index, &a, &[1, 2]).await;
    assert_eq!(index.repositories(None, 10).await.unwrap(), []);
    assert_eq!(index.tags(&a, None, 10).await.unwrap(), None);
    let (one, two) = (image(1, &[]), image(2, &[]));
    put(&index, &a, &one, &[]).await;
    put(&index, &a, &two, &[]).await;
    assert_eq!(
        index.repositories(None, 10).await.unwrap(),
        std::slice::from_ref(&a)
    );
    assert_eq!(index.tags(&a, None, 10).await.unwrap(), Some(vec![]));
    index
        .delete_manifest(&a, &one.digest(), then())
        .await
        .unwrap();
    assert_eq!(
        index.repositories(None, 10).await.unwrap(),
        std::slice::from_ref(&a)
    );
    index
        .delete_manifest(&a, &two.digest(), then())
        .await
        .unwrap();
    assert_eq!(index.repositories(None, 10).await.unwrap(), []);
    assert_eq!(index.tags(&a, None, 10).await.unwrap(), None);
    assert_eq!(index.all_repositories(None, 10).await.unwrap(), [a]);
    assert!(!index.is_new().await.unwrap());
}

pub async fn tags_are_paged_in_byte_order(index: Subject) {
    let a = repo("a");
    hold(&index, &a, &[1]).await;
    let names = [
        "_x", "a", "B", "v1.10", "v1.9", "v1-9", "Z", "0", "aa", "v1_9",
    ];
    put(&index, &a, &image(1, &[]), &names).await;
    let mut expected = names.map(str::to_owned);
    expected.sort_unstable();
    assert_eq!(tag_names(&index, &a, None, 100).await, expected);
    let mut paged: Vec<String> = Vec::new();
    loop {
        let page = tag_names(&index, &a, paged.last().map(String::as_str), 3).await;
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, expected);
    // `last` need not be a tag that is there, nor one that could be.
    assert_eq!(tag_names(&index, &a, Some("v1.95"), 100).await, ["v1_9"]);
    assert_eq!(
        tag_names(&index, &a, Some("\u{10FFFF}"), 100).await.len(),
        0
    );
    assert_eq!(tag_names(&index, &a, None, 0).await.len(), 0);
    let targets = index.tag_targets(&a, Some(&tag("v1_9")), 10).await.unwrap();
    assert_eq!(targets, []);
    let targets = index.tag_targets(&a, None, 1).await.unwrap();
    assert_eq!(targets, [(tag("0"), image(1, &[]).digest())]);
}

pub async fn repositories_are_paged_in_byte_order(index: Subject) {
    let mut names = ["b", "a/b", "a", "a-b", "a/b/c", "a.b", "a0"].map(repo);
    for name in &names {
        hold(&index, name, &[1]).await;
        put(&index, name, &image(1, &[]), &[]).await;
    }
    hold(&index, &repo("only/blobs"), &[1]).await;
    names.sort();
    assert_eq!(index.repositories(None, 100).await.unwrap(), names);
    assert_eq!(index.repositories(None, 2).await.unwrap(), names[..2]);
    let last = names[1].as_str();
    assert_eq!(
        index.repositories(Some(last), 100).await.unwrap(),
        names[2..]
    );
    assert_eq!(
        index.all_repositories(None, 100).await.unwrap().len(),
        names.len() + 1
    );
}

pub async fn referrers_are_filtered_and_paged(index: Subject) {
    let (a, b) = (repo("a"), repo("b"));
    for repo in [&a, &b] {
        hold(&index, repo, &[1, 2]).await;
    }
    let subject = blob(100);
    let mut all = Vec::new();
    for n in 0..9u64 {
        let kind = if n % 3 == 0 { "kind/one" } else { "kind/two" };
        let number = n.to_string();
        let referrer = artifact(1, &[], Some(subject), Some(kind), &[("n", &number)]);
        put(&index, &a, &referrer, &[]).await;
        all.push(referrer.descriptor());
    }
    put(
        &index,
        &a,
        &artifact(1, &[], Some(blob(101)), Some("kind/one"), &[]),
        &[],
    )
    .await;
    put(
        &index,
        &b,
        &artifact(2, &[], Some(subject), Some("kind/one"), &[]),
        &[],
    )
    .await;
    all.sort_by_key(|descriptor| descriptor.digest);
    assert_eq!(
        index
            .referrers(&a, &subject, None, None, 100)
            .await
            .unwrap()
            .entries,
        all
    );
    let ones: Vec<Descriptor> = all
        .iter()
        .filter(|descriptor| descriptor.artifact_type.as_deref() == Some("kind/one"))
        .cloned()
        .collect();
    assert_eq!(ones.len(), 3);
    let kind = Some("kind/one");
    assert_eq!(
        index
            .referrers(&a, &subject, kind, None, 100)
            .await
            .unwrap()
            .entries,
        ones
    );
    let page = index.referrers(&a, &subject, None, None, 4).await.unwrap();
    assert_eq!(page.entries, all[..4]);
    assert!(page.more);
    let rest = index.referrers(&a, &subject, None, Some(&all[3].digest), 100);
    let rest = rest.await.unwrap();
    assert_eq!(rest.entries, all[4..]);
    assert!(!rest.more);
    let rest = index.referrers(&a, &subject, kind, Some(&ones[0].digest), 1);
    let rest = rest.await.unwrap();
    assert_eq!(rest.entries, ones[1..2]);
    assert!(rest.more);
    let exact = index.referrers(&a, &subject, kind, None, 3).await.unwrap();
    assert_eq!((exact.entries.len(), exact.more), (3, false));
    assert_eq!(
        index
            .referrers(&a, &subject, Some("kind"), None, 9)
            .await
            .unwrap(),
        Referrers::default()
    );
    assert_eq!(
        index
            .referrers(&b, &subject, None, None, 9)
            .await
            .unwrap()
            .entries
            .len(),
        1
    );
    index
        .delete_manifest(&a, &all[0].digest, then())
        .await
        .unwrap();
    assert_eq!(
        index
            .referrers(&a, &subject, None, None, 100)
            .await
            .unwrap()
            .entries,
        all[1..]
    );
}

pub async fn a_page_of_referrers_has_a_weight(index: Subject) {
    let a = repo("a");
    hold(&index, &a, &[1]).await;
    let mut all = Vec::new();
    for n in 0..5 {
        let long = format!("{n}{}", "x".repeat(MAX_REFERRERS_BYTES / 3));
        let referrer = artifact(1, &[], Some(blob(9)), Some("a/b"), &[("long", &long)]);
        put(&index, &a, &referrer, &[]).await;
        all.push(referrer.descriptor());
    }
    let longest = "x".repeat(MAX_REFERRERS_BYTES + 1);
    let referrer = artifact(1, &[], Some(blob(9)), Some("a/b"), &[("long", &longest)]);
    put(&index, &a, &referrer, &[]).await;
    all.push(referrer.descriptor());
    all.sort_by_key(|descriptor| descriptor.digest);
    let mut paged: Vec<Descriptor> = Vec::new();
    loop {
        let after = paged.last().map(|last| last.digest);
        let page = index
            .referrers(&a, &blob(9), None, after.as_ref(), 10)
            .await;
        let page = page.unwrap();
        assert!(
            (1..3).contains(&page.entries.len()),
            "{}",
            page.entries.len()
        );
        paged.extend(page.entries);
        if !page.more {
            break;
        }
    }
    // Whole, however long they are: distribution-spec §Listing Referrers wants the manifest's annotations.
    assert_eq!(paged, all);
}

pub async fn every_change_is_in_the_journal(index: Subject) {
    let (a, b) = (repo("a"), repo("b"));
    let layer = |repo: &RepoName| Link::Layer(repo.clone(), blob(1));
    let current = |name| Link::Tag(a.clone(), tag(name));
    let image = image(1, &[]);
    let revision = Link::Revision(a.clone(), image.digest());

    hold(&index, &a, &[1]).await;
    assert_eq!(links(&index).await, [layer(&a)]);
    let (state, rows) = index.link(&layer(&a)).await.unwrap();
    assert_eq!((state, rows.len()), (LinkState::Present, 1));
    index.clear_journal(&rows).await.unwrap();
    assert_eq!(links(&index).await, []);

    index.mount_blob(&b, &a, &blob(1), then()).await.unwrap();
    assert_eq!(links(&index).await, [layer(&b)]);
    clear(&index).await;

    put(&index, &a, &image, &["v1", "v2"]).await;
    assert_eq!(
        links(&index).await,
        [revision.clone(), current("v1"), current("v2")]
    );
    let state = index.link(&revision).await.unwrap().0;
    assert_eq!(state, LinkState::Revision(MediaType::OCI_MANIFEST));
    let state = index.link(&current("v1")).await.unwrap().0;
    assert_eq!(state, LinkState::Tag(image.digest()));
    clear(&index).await;

    index.delete_tag(&a, &tag("v1"), then()).await.unwrap();
    assert_eq!(links(&index).await, [current("v1")]);
    assert_eq!(
        index.link(&current("v1")).await.unwrap().0,
        LinkState::Absent
    );
    clear(&index).await;

    index
        .delete_manifest(&a, &image.digest(), then())
        .await
        .unwrap();
    assert_eq!(links(&index).await, [current("v2"), revision.clone()]);
    assert_eq!(index.link(&revision).await.unwrap().0, LinkState::Absent);
    clear(&index).await;

    index.unlink_blob(&a, &blob(1), then()).await.unwrap();
    assert_eq!(links(&index).await, [layer(&a)]);
    assert_eq!(index.link(&layer(&a)).await.unwrap().0, LinkState::Absent);
}

pub async fn clearing_the_journal_leaves_what_came_since(index: Subject) {
    let a = repo("a");
    hold(&index, &a, &[1]).await;
    let link = Link::Layer(a.clone(), blob(1));
    let (_, rows) = index.link(&link).await.unwrap();
    index.clear_journal(&rows).await.unwrap();
    // The number of a cleared row is not given again.
    hold(&index, &a, &[1]).await;
    index.clear_journal(&rows).await.unwrap();
    assert_eq!(links(&index).await, [link]);
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

pub async fn what_has_no_ground_is_not_loaded(index: Subject) {
    let a = repo("a");
    let image = image(1, &[2]);
    let facts = vec![
        Fact::Blob {
            digest: blob(1),
            size: BLOB_SIZE,
        },
        Fact::Layer {
            repo: a.clone(),
            digest: blob(1),
        },
        Fact::Layer {
            repo: a.clone(),
            digest: blob(2),
        },
        Fact::Tag {
            repo: a.clone(),
            tag: tag("early"),
            digest: image.digest(),
        },
        Fact::Manifest {
            repo: a.clone(),
            manifest: Box::new(image.clone()),
        },
        Fact::Tag {
            repo: a.clone(),
            tag: tag("v1"),
            digest: image.digest(),
        },
        Fact::Stale(Link::Layer(a.clone(), blob(1))),
    ];
    assert_eq!(index.load(facts).await.unwrap(), [2, 3]);
    index.finish_load(at(1)).await.unwrap();
    assert!(!index.is_new().await.unwrap());
    assert_eq!(index.layers(&a, None, 10).await.unwrap(), [blob(1)]);
    assert_eq!(tag_names(&index, &a, None, 10).await, ["v1"]);
    assert_eq!(links(&index).await, [Link::Layer(a, blob(1))]);
}

pub async fn everything_is_counted(index: Subject) {
    let (a, b) = (repo("a"), repo("b"));
    hold(&index, &a, &[1, 2, 3]).await;
    hold(&index, &b, &[1]).await;
    let image = image(1, &[2]);
    put(&index, &a, &image, &["v1", "v2"]).await;
    index.unlink_blob(&a, &blob(3), then()).await.unwrap();
    index
        .create_upload(
            &Session {
                offset: 5,
                ..session(1, 1)
            },
            1,
        )
        .await
        .unwrap();
    let size = image.bytes().len() as u64;
    let census = index.census(1).await.unwrap();
    assert_eq!(census.repositories, 1);
    assert_eq!((census.manifests, census.tags), (1, 2));
    assert_eq!(
        (census.blobs, census.stored_bytes),
        (4, 3 * BLOB_SIZE + size)
    );
    assert_eq!(census.logical_bytes, 3 * BLOB_SIZE + size);
    assert_eq!((census.unheld_blobs, census.unheld_bytes), (1, BLOB_SIZE));
    assert_eq!((census.uploads, census.upload_bytes), (1, 5));
    assert_eq!(census.largest.len(), 1);
    let largest = &census.largest[0];
    assert_eq!((&largest.name, largest.bytes), (&a, 2 * BLOB_SIZE + size));
    assert_eq!((largest.manifests, largest.tags, largest.blobs), (1, 2, 2));
    assert_eq!(index.damage().await.unwrap(), [""; 0]);
}

pub async fn of_racing_first_pushes_one_wins(index: Subject) {
    const RACERS: u64 = 64;
    let a = repo("a");
    let numbers: Vec<u64> = (0..RACERS).collect();
    hold(&index, &a, &numbers).await;
    let racers: Vec<_> = numbers
        .iter()
        .map(|number| {
            let (index, a, image) = (Arc::clone(&index), a.clone(), image(*number, &[]));
            tokio::spawn(async move {
                let outcome = push(&index, &a, &image, &["v1"], MoveTags::Refused).await;
                (image.digest(), outcome)
            })
        })
        .collect();
    let mut winners = Vec::new();
    for racer in racers {
        match racer.await.unwrap() {
            (digest, PutOutcome::Done) => winners.push(digest),
            (_, outcome) => assert_eq!(outcome, PutOutcome::TagExists(tag("v1"))),
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(tagged(&index, &a, "v1").await, Some(winners[0]));
    assert_eq!(index.revisions(&a, None, 100).await.unwrap().len(), 1);
}

pub async fn racing_moves_leave_one_of_them(index: Subject) {
    let a = repo("a");
    let numbers: Vec<u64> = (0..16).collect();
    hold(&index, &a, &numbers).await;
    let racers: Vec<_> = numbers
        .iter()
        .map(|number| {
            let (index, a, image) = (Arc::clone(&index), a.clone(), image(*number, &[]));
            tokio::spawn(async move {
                assert_eq!(put(&index, &a, &image, &["v1"]).await, PutOutcome::Done);
                index.delete_tag(&a, &tag("v1"), then()).await.unwrap();
                assert_eq!(put(&index, &a, &image, &["v1"]).await, PutOutcome::Done);
            })
        })
        .collect();
    for racer in racers {
        racer.await.unwrap();
    }
    let digest = tagged(&index, &a, "v1").await.unwrap();
    assert!(
        numbers
            .iter()
            .any(|number| image(*number, &[]).digest() == digest)
    );
    assert_eq!(
        index.revisions(&a, None, 100).await.unwrap().len(),
        numbers.len()
    );
}

fn origin(user: &str, seconds: u64) -> Origin {
    Origin {
        request_id: "0123-4".to_owned(),
        user: user.to_owned(),
        provider: "htpasswd".to_owned(),
        uid: Some("7".to_owned()),
        credential: Proof::Token,
        credential_id: Some("robot".to_owned()),
        client: Some("2001:db8::1".parse().unwrap()),
        ..Origin::own(at(seconds)).with_agent(Some("curl/8"))
    }
}

fn by(user: &str, seconds: u64) -> Cause {
    Cause::of(origin(user, seconds), at(seconds))
}

fn noted(user: &str, seconds: u64, verb: Verb, place: Place, outcome: Outcome) -> Entry {
    Entry::new(&Arc::new(origin(user, seconds)), verb, place, outcome, 403)
}

async fn rows(index: &Subject) -> Vec<Row> {
    index.audit_since(0, 10_000).await.unwrap()
}

/// Verb, reference, digest, previous digest and reason of a row.
type Told = (
    Verb,
    Option<String>,
    Option<Digest>,
    Option<Digest>,
    Option<String>,
);

fn told(row: &Row) -> Told {
    let entry = row.entry.clone();
    (
        entry.verb,
        entry.reference,
        entry.digest,
        entry.previous,
        entry.reason,
    )
}

pub async fn a_change_leaves_its_rows_and_a_refused_one_none(index: Subject) {
    let (a, b) = (repo("a/x"), repo("b"));
    let (one, two) = (image(1, &[2]), image(1, &[2, 3]));
    let cause = by("ada", 5);
    for number in [1, 2, 3] {
        let digest = blob(number);
        let linked = index.link_blob(&a, &digest, BLOB_SIZE, None, &cause);
        linked.await.unwrap();
    }
    assert_eq!(
        index.mount_blob(&b, &a, &blob(3), &cause).await.unwrap(),
        Some(BLOB_SIZE)
    );
    let absent = index.mount_blob(&b, &a, &blob(9), &cause).await.unwrap();
    assert_eq!(absent, None);
    let push = async |manifest: &Manifest, tags: &[&str], moves, sparse| {
        let tags: Vec<Tag> = tags.iter().map(|name| tag(name)).collect();
        let new = NewManifest {
            repo: &a,
            manifest,
            tags: &tags,
            moves,
            sparse,
            cause: &cause,
        };
        index.put_manifest(&new).await.unwrap()
    };
    let (may, whole) = (MoveTags::Allowed, Sparse::Refused);
    assert_eq!(push(&one, &[], may, whole).await, PutOutcome::Done);
    assert_eq!(
        push(&one, &["v1", "v2"], may, whole).await,
        PutOutcome::Done
    );
    assert_eq!(
        push(&two, &["v1", "v3"], may, whole).await,
        PutOutcome::Done
    );
    let refused = push(&one, &["v1"], MoveTags::Refused, whole).await;
    assert_eq!(refused, PutOutcome::TagExists(tag("v1")));
    let refused = push(&image(8, &[9]), &["v9"], may, whole).await;
    assert!(matches!(refused, PutOutcome::MissingBlobs(_)));
    assert!(index.delete_tag(&a, &tag("v3"), &cause).await.unwrap());
    assert!(!index.delete_tag(&a, &tag("v3"), &cause).await.unwrap());
    let freed = index.delete_manifest(&a, &two.digest(), &cause).await;
    assert_eq!(freed.unwrap(), Some(vec![tag("v1")]));
    let gone = index.delete_manifest(&a, &two.digest(), &cause).await;
    assert_eq!(gone.unwrap(), None);
    let needed = index.unlink_blob(&a, &blob(2), &cause).await.unwrap();
    assert_eq!(needed, Unlink::Referenced);
    let out = index.unlink_blob(&a, &blob(3), &cause).await.unwrap();
    assert_eq!(out, Unlink::Done);

    let rows = rows(&index).await;
    let (first, second) = (Some(one.digest()), Some(two.digest()));
    let word = |text: &str| Some(text.to_owned());
    let expected: Vec<Told> = vec![
        (Verb::Upload, None, Some(blob(1)), None, None),
        (Verb::Upload, None, Some(blob(2)), None, None),
        (Verb::Upload, None, Some(blob(3)), None, None),
        (Verb::Mount, None, Some(blob(3)), None, word("from a/x")),
        (Verb::Push, None, first, None, None),
        (Verb::Push, word("v1"), first, None, None),
        (Verb::Push, word("v2"), first, None, None),
        (Verb::Retag, word("v1"), second, first, None),
        (Verb::Push, word("v3"), second, None, None),
        (Verb::Delete, word("v3"), second, None, None),
        (Verb::Delete, None, second, None, word("with its tags v1")),
        (Verb::Delete, None, Some(blob(3)), None, word("blob")),
    ];
    assert_eq!(rows.iter().map(told).collect::<Vec<_>>(), expected);
    for row in &rows {
        assert_eq!(*row.entry.origin, origin("ada", 5));
        assert_eq!(row.entry.outcome, Outcome::Allowed);
        let into = if row.entry.verb == Verb::Mount {
            &b
        } else {
            &a
        };
        assert_eq!(row.entry.place, Place::Repository(into.clone()));
    }
}

pub async fn a_change_of_nobody_leaves_no_row(index: Subject) {
    let a = repo("a");
    hold(&index, &a, &[1]).await;
    put(&index, &a, &image(1, &[]), &["v1"]).await;
    index.delete_tag(&a, &tag("v1"), then()).await.unwrap();
    assert_eq!(rows(&index).await, []);
    assert_eq!(index.audit_last().await.unwrap(), 0);
}

async fn note(index: &Subject, entries: Vec<Entry>) {
    index.note(entries, Durability::AtFlush).await.unwrap();
}

pub async fn what_is_noted_comes_back_as_it_was(index: Subject) {
    let odd = "a\u{0}\n\"\u{202e}\u{1f600}' OR 1=1 --";
    let places = [
        Place::Registry,
        Place::Namespace("team".to_owned()),
        Place::Repository(repo("team/app")),
    ];
    let mut entries = Vec::new();
    for verb in Verb::ALL {
        for outcome in Outcome::ALL {
            let place = places[entries.len() % places.len()].clone();
            let entry = noted(odd, 7, verb, place, outcome).because(Some(odd));
            entries.push(Entry {
                reference: Some(odd.to_owned()),
                digest: Some(blob(1)),
                previous: Some(Digest::of(Algorithm::Sha512, b"")),
                ..entry
            });
        }
    }
    entries.push(Entry::new(
        &Arc::new(Origin::own(at(0))),
        Verb::Omitted,
        Place::Registry,
        Outcome::Denied,
        0,
    ));
    note(&index, entries.clone()).await;
    let rows = rows(&index).await;
    assert_eq!(
        rows.iter().map(|row| row.id).collect::<Vec<_>>(),
        (1..=31).collect::<Vec<i64>>()
    );
    let back: Vec<Entry> = rows.into_iter().map(|row| row.entry).collect();
    assert_eq!(back, entries);
}

async fn found(index: &Subject, query: &Query) -> Vec<i64> {
    let page = index.audit_page(query, None, 100).await.unwrap();
    assert_eq!(page.next, None);
    page.rows.iter().map(|row| row.id).collect()
}

pub async fn the_record_is_searched_by_every_condition(index: Subject) {
    let (x, y) = (repo("team/x"), repo("team2/y"));
    let of = |repo: &RepoName| Place::Repository(repo.clone());
    note(
        &index,
        vec![
            noted("ada", 1, Verb::Push, of(&x), Outcome::Allowed),
            noted("bob", 2, Verb::Pull, of(&x), Outcome::Denied),
            noted("ada", 3, Verb::Pull, of(&y), Outcome::Denied),
            noted("ada", 4, Verb::Login, Place::Registry, Outcome::Denied),
            noted(
                "bob",
                5,
                Verb::Admin,
                Place::Namespace("team".into()),
                Outcome::Allowed,
            ),
        ],
    )
    .await;
    let all = Query::default();
    let ada = Some("ada".to_owned());
    let team = Some("team".to_owned());
    let asked = |query: Query| {
        let index = Arc::clone(&index);
        async move { found(&index, &query).await }
    };
    assert_eq!(asked(all.clone()).await, [5, 4, 3, 2, 1]);
    assert_eq!(
        asked(Query {
            user: ada.clone(),
            ..all.clone()
        })
        .await,
        [4, 3, 1]
    );
    assert_eq!(
        asked(Query {
            namespace: team.clone(),
            ..all.clone()
        })
        .await,
        [5, 2, 1]
    );
    assert_eq!(
        asked(Query {
            repository: Some(x.clone()),
            ..all.clone()
        })
        .await,
        [2, 1]
    );
    assert_eq!(
        asked(Query {
            verbs: vec![Verb::Pull, Verb::Login],
            ..all.clone()
        })
        .await,
        [4, 3, 2]
    );
    assert_eq!(
        asked(Query {
            outcome: Some(Outcome::Allowed),
            ..all.clone()
        })
        .await,
        [5, 1]
    );
    assert_eq!(
        asked(Query {
            since: Some(at(3)),
            ..all.clone()
        })
        .await,
        [5, 4, 3]
    );
    assert_eq!(
        asked(Query {
            until: Some(at(3)),
            ..all.clone()
        })
        .await,
        [2, 1]
    );
    let every = Query {
        user: ada,
        namespace: team,
        repository: Some(x),
        verbs: vec![Verb::Push],
        outcome: Some(Outcome::Allowed),
        since: Some(at(1)),
        until: Some(at(2)),
    };
    assert_eq!(asked(every.clone()).await, [1]);
    let nobody = Query {
        user: Some("' OR 1=1 --".to_owned()),
        ..every
    };
    assert_eq!(asked(nobody).await, [0; 0]);
}

/// Also where many rows have one time, and where rows came in another order than their times.
pub async fn pages_of_the_record_miss_nothing(index: Subject) {
    let times = [3, 3, 3, 1, 2, 3, 2, 9, 9, 1];
    let entries =
        times.map(|time| noted("ada", time, Verb::Pull, Place::Registry, Outcome::Denied));
    note(&index, entries.to_vec()).await;
    let mut sorted: Vec<(u64, i64)> = times.into_iter().zip(1..).collect();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    let whole: Vec<i64> = sorted.into_iter().map(|(_, id)| id).collect();
    for limit in 1..=11 {
        let (mut seen, mut before) = (Vec::new(), None);
        loop {
            let page = index
                .audit_page(&Query::default(), before, limit)
                .await
                .unwrap();
            assert!(page.rows.len() <= limit);
            seen.extend(page.rows.iter().map(|row| row.id));
            before = page.next.map(|next| next.to_string().parse().unwrap());
            if before.is_none() {
                break;
            }
        }
        assert_eq!(seen, whole, "pages of {limit}");
    }
}

/// A question that few rows answer comes in several pages, some of them empty.
pub async fn a_long_search_goes_on_where_it_stopped(index: Subject) {
    let entry = |verb| noted("ada", 1, verb, Place::Registry, Outcome::Denied);
    note(&index, vec![entry(Verb::Push)]).await;
    note(&index, vec![entry(Verb::Pull); 20_000]).await;
    let query = Query {
        verbs: vec![Verb::Push],
        ..Query::default()
    };
    let (mut pages, mut seen, mut before) = (0, 0, None);
    loop {
        let Page { rows, next } = index.audit_page(&query, before, 10).await.unwrap();
        (pages, seen) = (pages + 1, seen + rows.len());
        if next.is_none() {
            break;
        }
        before = next;
    }
    assert_eq!(seen, 1);
    assert!(pages > 1, "one page looked at everything");
}

pub async fn rows_expire_by_class(index: Subject) {
    let denied = |time| noted("ada", time, Verb::Pull, Place::Registry, Outcome::Denied);
    let pulled = |time| noted("ada", time, Verb::Pull, Place::Registry, Outcome::Allowed);
    let pushed = |time| noted("ada", time, Verb::Push, Place::Registry, Outcome::Allowed);
    let all: Vec<Entry> = (1..=700)
        .flat_map(|time| [denied(time), pulled(time)])
        .chain([pushed(1), pushed(699)])
        .collect();
    note(&index, all).await;
    let audit = Audit::of(&index);
    let kept = |age, rows| Retention {
        age: Duration::from_secs(age),
        rows,
    };
    assert_eq!(audit.expire(kept(1_000, 1_000), at(700)).await.unwrap(), 0);
    // A flood of refusals and pulls does not push out what was changed.
    assert_eq!(
        audit.expire(kept(1_000, 10), at(700)).await.unwrap(),
        2 * 690
    );
    let left = rows(&index).await;
    let of = |class| left.iter().filter(|row| row.entry.class() == class).count();
    assert_eq!(
        [Class::Change, Class::Refusal, Class::Access].map(of),
        [2, 10, 10]
    );
    assert!(
        left.iter()
            .all(|row| row.entry.verb == Verb::Push || row.entry.origin.time > at(690))
    );
    assert_eq!(
        audit.expire(kept(5, 1_000), at(700)).await.unwrap(),
        1 + 2 * 4
    );
    assert_eq!(audit.expire(kept(0, 1_000), at(800)).await.unwrap(), 13);
    assert_eq!(rows(&index).await, []);
}

pub async fn numbers_are_never_given_twice(index: Subject) {
    let entry = noted("ada", 1, Verb::Pull, Place::Registry, Outcome::Denied);
    note(&index, vec![entry.clone(); 3]).await;
    assert_eq!(
        index.expire_audit(Class::Refusal, at(2), 10).await.unwrap(),
        3
    );
    note(&index, vec![entry]).await;
    assert_eq!(index.audit_last().await.unwrap(), 4);
    assert_eq!(rows(&index).await[0].id, 4);
}

pub async fn rows_are_carried_with_their_numbers(index: Subject) {
    let entry = noted("ada", 1, Verb::Pull, Place::Registry, Outcome::Denied);
    let carried = [3, 8].map(|id| Row {
        id,
        entry: entry.clone(),
    });
    index.carry_audit(carried.to_vec()).await.unwrap();
    assert_eq!(rows(&index).await, carried);
    note(&index, vec![entry]).await;
    assert_eq!(index.audit_last().await.unwrap(), 9);
}

/// A token of `owner` from `created` on, for a hundred seconds.
fn token(id: &str, owner: &str, created: u64) -> KeptToken {
    KeptToken {
        id: id.to_owned(),
        kind: "api".to_owned(),
        owner: owner.to_owned(),
        hash: vec![0, 255, 7],
        created: at(created),
        expires: at(created + 100),
        used: None,
        document: r#"{"a": "ü"}"#.to_owned(),
    }
}

fn ids(tokens: Vec<KeptToken>) -> Vec<String> {
    tokens.into_iter().map(|token| token.id).collect()
}

pub async fn tokens_are_kept_by_their_names(index: Subject) {
    let add = async |one: &KeptToken| {
        let added = index.add_token(one, 10, WhenFull::Refuse, at(10)).await;
        assert!(added.unwrap());
    };
    let (a, b, c) = (
        token("a", "ada", 10),
        token("b", "bob", 10),
        token("c", "ada", 10),
    );
    for one in [&c, &a, &b] {
        add(one).await;
    }
    let again = index.add_token(&a, 10, WhenFull::Refuse, at(10)).await;
    assert!(again.is_err(), "a name is given once");
    assert_eq!(index.token("a").await.unwrap(), Some(a.clone()));
    assert_eq!(index.token("z").await.unwrap(), None);
    let of_ada = index.tokens(Some("ada"), None, 10).await.unwrap();
    assert_eq!(of_ada, [a.clone(), c.clone()]);
    assert_eq!(ids(index.tokens(None, None, 2).await.unwrap()), ["a", "b"]);
    assert_eq!(ids(index.tokens(None, Some("b"), 2).await.unwrap()), ["c"]);
    assert_eq!(
        ids(index.tokens(Some("ada"), Some("a"), 2).await.unwrap()),
        ["c"]
    );
    index.touch_token("a", at(30)).await.unwrap();
    index.touch_token("a", at(20)).await.unwrap();
    index.touch_token("z", at(20)).await.unwrap();
    assert_eq!(index.token("a").await.unwrap().unwrap().used, Some(at(30)));
    assert!(!index.delete_token(Some("bob"), "a").await.unwrap());
    assert!(index.delete_token(Some("ada"), "a").await.unwrap());
    assert!(!index.delete_token(Some("ada"), "a").await.unwrap());
    assert!(index.delete_token(None, "b").await.unwrap());
    assert_eq!(ids(index.tokens(None, None, 10).await.unwrap()), ["c"]);
}

pub async fn nobody_has_more_tokens_than_allowed(index: Subject) {
    let add = async |one: KeptToken, when_full, now| {
        index.add_token(&one, 2, when_full, at(now)).await.unwrap()
    };
    let refuse = WhenFull::Refuse;
    assert!(add(token("a", "ada", 10), refuse, 10).await);
    assert!(add(token("b", "ada", 20), refuse, 20).await);
    assert!(!add(token("c", "ada", 30), refuse, 30).await);
    assert!(
        add(token("d", "bob", 30), refuse, 30).await,
        "others have their own"
    );
    let login = KeptToken {
        kind: "login".to_owned(),
        ..token("l", "ada", 30)
    };
    assert!(add(login, refuse, 30).await, "each kind for itself");
    assert!(add(token("e", "ada", 40), WhenFull::ForgetOldest, 40).await);
    assert_eq!(
        ids(index.tokens(Some("ada"), None, 10).await.unwrap()),
        ["b", "e", "l"]
    );
    assert!(
        add(token("f", "ada", 120), refuse, 120).await,
        "what has ended is not counted"
    );
    // A week after its end a token is forgotten.
    let week = 7 * 24 * 3600;
    assert!(add(token("g", "eve", week), refuse, week + 135).await);
    assert_eq!(
        ids(index.tokens(None, None, 10).await.unwrap()),
        ["e", "f", "g"]
    );
}

pub async fn tokens_are_taken_over_as_they_were(index: Subject) {
    let was = KeptToken {
        used: Some(at(15)),
        ..token("a", "ada", 10)
    };
    let groundless = index.load(vec![Fact::Token(was.clone())]).await.unwrap();
    assert_eq!(groundless, [0; 0]);
    assert_eq!(index.token("a").await.unwrap(), Some(was));
}

fn key(kind: &str, namespace: &str, name: &str) -> RecordKey {
    RecordKey {
        kind: kind.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

fn make(key: &RecordKey, open: bool, body: &[u8]) -> RecordWrite {
    RecordWrite::Put {
        key: key.clone(),
        revision: None,
        open,
        body: body.to_vec(),
    }
}

async fn write(index: &Subject, writes: Vec<RecordWrite>) -> RecordsWritten {
    let batch = RecordBatch::new(writes).unwrap();
    index.write_records(batch).await.unwrap()
}

fn record_names(records: &[Record]) -> Vec<&str> {
    records.iter().map(|one| one.key.name.as_str()).collect()
}

pub async fn a_record_is_written_at_its_revision(index: Subject) {
    let one = key("build", "team", "app");
    assert_eq!(index.record(&one).await.unwrap(), None);
    let body = [0, 255, b'{'];
    let put = |revision, body: &[u8]| RecordWrite::Put {
        key: one.clone(),
        revision,
        open: true,
        body: body.to_vec(),
    };
    let conflict = RecordsWritten::Conflict(one.clone());
    assert_eq!(write(&index, vec![put(Some(1), b"x")]).await, conflict);
    assert_eq!(
        write(&index, vec![make(&one, false, &body)]).await,
        RecordsWritten::Done
    );
    let kept = index.record(&one).await.unwrap().unwrap();
    assert_eq!(
        (kept.revision, kept.open, kept.body.as_slice()),
        (1, false, &body[..])
    );
    assert_eq!(write(&index, vec![make(&one, true, b"x")]).await, conflict);
    assert_eq!(
        write(&index, vec![put(Some(1), b"two")]).await,
        RecordsWritten::Done
    );
    assert_eq!(write(&index, vec![put(Some(1), b"x")]).await, conflict);
    let kept = index.record(&one).await.unwrap().unwrap();
    assert_eq!(
        (kept.revision, kept.open, kept.body.as_slice()),
        (2, true, &b"two"[..])
    );
    let remove = |revision| RecordWrite::Remove {
        key: one.clone(),
        revision,
    };
    assert_eq!(write(&index, vec![remove(1)]).await, conflict);
    assert_eq!(write(&index, vec![remove(2)]).await, RecordsWritten::Done);
    assert_eq!(index.record(&one).await.unwrap(), None);
    assert_eq!(write(&index, vec![remove(2)]).await, conflict);
    // Others of the same name are others.
    for other in [key("run", "team", "app"), key("build", "", "app")] {
        assert_eq!(
            write(&index, vec![make(&other, false, b"")]).await,
            RecordsWritten::Done
        );
    }
    assert_eq!(index.record(&one).await.unwrap(), None);
}

pub async fn a_batch_of_records_is_all_or_nothing(index: Subject) {
    let [a, b] = ["a", "b"].map(|name| key("run", "team", name));
    let both = || vec![make(&a, true, b"1"), make(&b, true, b"1")];
    write(&index, vec![make(&b, false, b"0")]).await;
    let told = write(&index, both()).await;
    assert_eq!(told, RecordsWritten::Conflict(b.clone()));
    assert_eq!(index.record(&a).await.unwrap(), None);
    let remove = RecordWrite::Remove {
        key: b.clone(),
        revision: 1,
    };
    let told = write(&index, vec![make(&a, true, b"1"), remove]).await;
    assert_eq!(told, RecordsWritten::Done);
    assert_eq!(index.record(&b).await.unwrap(), None);
    assert_eq!(write(&index, Vec::new()).await, RecordsWritten::Done);

    let too_long = RecordBatch::new(vec![make(&a, true, &vec![0; MAX_RECORD_BYTES + 1])]);
    let expected = InvalidBatch::Record {
        key: a.clone(),
        bytes: MAX_RECORD_BYTES + 1,
    };
    assert_eq!(too_long.unwrap_err(), expected);
    let twice = RecordBatch::new(vec![make(&a, true, b""), make(&a, true, b"")]);
    assert_eq!(twice.unwrap_err(), InvalidBatch::Twice(a.clone()));
    let many = (0..1_001).map(|n| make(&key("run", "", &n.to_string()), true, b""));
    let many = RecordBatch::new(many.collect());
    assert_eq!(many.unwrap_err(), InvalidBatch::Records(1_001));
    let nameless = RecordBatch::new(vec![make(&key("run", "team", ""), true, b"")]);
    assert!(matches!(nameless, Err(InvalidBatch::Name(_))));
    let long = RecordBatch::new(vec![make(&key("run", "team", &"x".repeat(256)), true, b"")]);
    assert!(matches!(long, Err(InvalidBatch::Name(_))));
    let heavy = (0..9).map(|n| make(&key("run", "", &n.to_string()), true, &vec![0; 2 << 20]));
    let heavy = RecordBatch::new(heavy.collect());
    assert_eq!(heavy.unwrap_err(), InvalidBatch::Bytes(18 << 20));
}

pub async fn records_are_paged_by_name_and_prefix(index: Subject) {
    let names = ["a", "a-1", "a-10", "a-2", "a.b", "ab", "b", "ü"];
    let mut writes: Vec<_> = names
        .iter()
        .map(|name| make(&key("run", "team", name), false, b"{}"))
        .collect();
    writes.push(make(&key("run", "tean", "a-3"), false, b"{}"));
    writes.push(make(&key("build", "team", "a-4"), false, b"{}"));
    write(&index, writes).await;
    let list = async |prefix: &str, after: Option<&str>, limit| {
        let page = index.records("run", "team", prefix, after, limit).await;
        record_names(&page.unwrap()).join(" ")
    };
    assert_eq!(list("", None, 100).await, names.join(" "));
    assert_eq!(list("", Some("a"), 2).await, "a-1 a-10");
    assert_eq!(list("", Some("a-10"), 2).await, "a-2 a.b");
    assert_eq!(list("", Some("a-11"), 2).await, "a-2 a.b");
    assert_eq!(list("", Some("ü"), 2).await, "");
    assert_eq!(list("a-", None, 100).await, "a-1 a-10 a-2");
    assert_eq!(list("a-", Some("a-1"), 1).await, "a-10");
    assert_eq!(list("a-", Some("a-2"), 1).await, "");
    assert_eq!(list("a-", Some("a"), 1).await, "a-1");
    assert_eq!(list("c", None, 100).await, "");
    assert_eq!(list("", None, 0).await, "");
}

pub async fn a_page_of_records_has_a_weight(index: Subject) {
    let body = vec![7; MAX_RECORD_BYTES];
    let fit = MAX_BATCH_BYTES / MAX_RECORD_BYTES;
    for n in 0..=fit {
        write(
            &index,
            vec![make(
                &key("secret", "team", &format!("{n:02}")),
                false,
                &body,
            )],
        )
        .await;
    }
    let page = index
        .records("secret", "team", "", None, 100)
        .await
        .unwrap();
    assert_eq!(page.len(), fit);
    let last = page.last().map(|last| last.key.name.as_str());
    let rest = index.records("secret", "team", "", last, 100).await;
    assert_eq!(rest.unwrap().len(), 1);
}

pub async fn open_records_are_found_in_all_namespaces(index: Subject) {
    let one = |namespace: &str, name: &str, open| make(&key("run", namespace, name), open, b"{}");
    let writes = vec![
        one("b", "1", true),
        one("a", "2", true),
        one("a", "1", false),
        one("", "9", true),
        one("a", "3", true),
        make(&key("event", "a", "0"), true, b"{}"),
    ];
    write(&index, writes).await;
    let list = async |after, limit| {
        let page = index.open_records("run", after, limit).await.unwrap();
        let told = page
            .iter()
            .map(|one| format!("{}/{}", one.key.namespace, one.key.name));
        told.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(list(None, 10).await, "/9 a/2 a/3 b/1");
    assert_eq!(list(Some(("a", "2")), 1).await, "a/3");
    assert_eq!(list(Some(("a", "3")), 10).await, "b/1");
    let close = RecordWrite::Put {
        key: key("run", "a", "2"),
        revision: Some(1),
        open: false,
        body: b"{}".to_vec(),
    };
    write(&index, vec![close]).await;
    assert_eq!(list(None, 10).await, "/9 a/3 b/1");
}

pub async fn namespaces_of_records_are_paged(index: Subject) {
    let one =
        |kind: &str, namespace: &str, name: &str| make(&key(kind, namespace, name), true, b"");
    let writes = vec![
        one("image", "", "1"),
        one("image", "a", "1"),
        one("image", "a", "2"),
        one("image", "a-b", "1"),
        one("image", "c", "1"),
        one("run", "d", "1"),
    ];
    write(&index, writes).await;
    let list = async |after, limit| {
        let found = index.record_namespaces("image", after, limit).await;
        found.unwrap()
    };
    assert_eq!(list(None, 10).await, ["", "a", "a-b", "c"]);
    assert_eq!(list(None, 1).await, [""]);
    assert_eq!(list(Some(""), 2).await, ["a", "a-b"]);
    assert_eq!(list(Some("c"), 2).await, [""; 0]);
}

pub async fn records_are_carried_as_they_were(index: Subject) {
    let was = |kind: &str, name: &str, revision, open| Record {
        key: key(kind, "team", name),
        revision,
        open,
        body: b"{}".to_vec(),
    };
    let all = vec![was("build", "a", 7, false), was("run", "a", 1, true)];
    index.carry_records(all.clone()).await.unwrap();
    assert_eq!(index.all_records(None, 10).await.unwrap(), all);
    let after = &all[0].key;
    assert_eq!(index.all_records(Some(after), 10).await.unwrap(), all[1..]);
}

pub async fn of_racing_writes_of_a_record_one_wins(index: Subject) {
    let one = key("build", "team", "app");
    write(&index, vec![make(&one, false, b"0")]).await;
    let racers = (1..=8_u8).map(|racer| {
        let (index, key) = (Arc::clone(&index), one.clone());
        tokio::spawn(async move {
            let put = RecordWrite::Put {
                key,
                revision: Some(1),
                open: false,
                body: vec![racer],
            };
            write(&index, vec![put]).await == RecordsWritten::Done
        })
    });
    let mut winners = 0;
    for racer in racers.collect::<Vec<_>>() {
        winners += usize::from(racer.await.unwrap());
    }
    assert_eq!(winners, 1);
    assert_eq!(index.record(&one).await.unwrap().unwrap().revision, 2);
}
