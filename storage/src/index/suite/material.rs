//! What the clauses are told with: names, content that is told by a number, manifests of it, and the changes that
//! most of them begin with.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use oci::{Algorithm, Descriptor, Digest, Manifest, MediaType, RepoName, Tag, UploadId};
use serde_json::{Value, json};

use super::Subject;
use crate::audit::Cause;
use crate::index::{Link, NewManifest, PutOutcome, Session};
use crate::{MoveTags, Sparse};

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

pub(super) fn descriptor(media_type: MediaType, digest: Digest) -> Value {
    serde_json::to_value(Descriptor::new(media_type, digest, BLOB_SIZE)).unwrap()
}

pub(super) fn manifest(media_type: &MediaType, body: &Value) -> Manifest {
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

pub(super) async fn push(
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

pub(super) async fn tagged(index: &Subject, repo: &RepoName, name: &str) -> Option<Digest> {
    let facts = index.tag(repo, &tag(name)).await.unwrap();
    facts.map(|facts| facts.digest)
}

pub(super) async fn tag_names(
    index: &Subject,
    repo: &RepoName,
    last: Option<&str>,
    limit: usize,
) -> Vec<String> {
    let tags = index.tags(repo, last, limit).await.unwrap().unwrap();
    tags.iter().map(ToString::to_string).collect()
}

pub(super) async fn clear(index: &Subject) {
    let rows: Vec<i64> = journal(index).await.into_iter().map(|(id, _)| id).collect();
    index.clear_journal(&rows).await.unwrap();
}

async fn journal(index: &Subject) -> Vec<(i64, Link)> {
    let rows = index.journal(0, 1_000).await.unwrap();
    rows.into_iter().map(|row| (row.id, row.link)).collect()
}

pub(super) async fn links(index: &Subject) -> Vec<Link> {
    journal(index)
        .await
        .into_iter()
        .map(|(_, link)| link)
        .collect()
}

pub(super) fn session(id: u8, touched: u64) -> Session {
    Session {
        id: UploadId::from_random([id; 16]),
        repo: repo("a"),
        owner: "user:5:alice".to_owned(),
        offset: 0,
        hashers: vec![1, 2],
        touched: at(touched),
    }
}
