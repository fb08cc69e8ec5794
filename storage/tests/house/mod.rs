//! A whole storage in a folder of its own, with ways to fill and to damage it.
#![expect(clippy::unwrap_used, reason = "only tests use it")]
#![cfg_attr(
    test,
    expect(dead_code, reason = "each test program uses another part of it")
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::StreamExt as _;
use oci::{Algorithm, Descriptor, Digest, Manifest, MediaType, RepoName, Tag};
use serde_json::{Value, json};
use storage::fsck::{Options, Report, fsck};
use storage::index::ManifestRecord;
use storage::reindex::{self, Reindexed, reindex};
use storage::{FsStore, Index, Key, Limits, MoveTags, ObjectStore, SqliteIndex, Storage};
use tempfile::TempDir;

pub(crate) struct House {
    dir: TempDir,
}

pub(crate) fn repo(text: &str) -> RepoName {
    RepoName::parse(text).unwrap()
}

pub(crate) fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

pub(crate) fn sha256(content: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, content)
}

/// What is nothing but a name: a digest whose bytes are nowhere.
pub(crate) fn nowhere() -> Digest {
    sha256(b"nowhere")
}

impl House {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("objects")).unwrap();
        Self { dir }
    }

    /// Another one with the same in it. Nobody may have this one open.
    pub(crate) fn copy(&self) -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy_folder(self.dir.path(), dir.path());
        Self { dir }
    }

    pub(crate) fn objects(&self) -> PathBuf {
        self.dir.path().join("objects")
    }

    pub(crate) fn index_file(&self) -> PathBuf {
        self.dir.path().join("index.db")
    }

    pub(crate) fn file(&self, key: &Key) -> PathBuf {
        self.objects().join(key.as_str())
    }

    pub(crate) async fn open(&self) -> Storage {
        let store = Arc::new(self.unlocked().await);
        let index = Arc::new(SqliteIndex::open(&self.index_file()).unwrap());
        Storage::open(store, index, Limits::default())
            .await
            .unwrap()
    }

    /// Opens the files once what was open of them is closed: work in the background ends a moment after its storage.
    async fn unlocked(&self) -> FsStore {
        let mut tries = 0..60_000;
        loop {
            match FsStore::open(&self.objects()) {
                Err(error)
                    if error.kind() == std::io::ErrorKind::ResourceBusy
                        && tries.next().is_some() =>
                {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                opened => return opened.unwrap(),
            }
        }
    }

    pub(crate) fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::new(FsStore::open_beside_server(&self.objects()).unwrap())
    }

    pub(crate) fn index(&self) -> Arc<dyn Index> {
        Arc::new(SqliteIndex::open_beside_server(&self.index_file()).unwrap())
    }

    pub(crate) async fn fsck(&self, options: Options) -> Report {
        fsck(&self.store(), &self.index(), options, &|_| {})
            .await
            .unwrap()
    }

    /// The names of what is found, each once, in order.
    pub(crate) async fn found(&self, options: Options) -> Vec<&'static str> {
        let report = self.fsck(options).await;
        report.findings.kinds.keys().map(|kind| kind.id()).collect()
    }

    pub(crate) async fn reindex(&self) -> Reindexed {
        let (store, options) = (self.store(), reindex::Options::default());
        reindex(&store, &self.index_file(), options, now(), &|_| {})
            .await
            .unwrap()
    }

    /// Writes a file as nobody of ours would.
    pub(crate) fn write(&self, key: &Key, content: impl AsRef<[u8]>) {
        self.write_at(key.as_str(), content);
    }

    pub(crate) fn write_at(&self, key: &str, content: impl AsRef<[u8]>) {
        let path = self.objects().join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn remove(&self, key: &Key) {
        fs::remove_file(self.file(key)).unwrap();
    }

    /// Changes the index behind its back. It must change something.
    pub(crate) fn sql(&self, sql: &str) {
        let connection = rusqlite::Connection::open(self.index_file()).unwrap();
        connection
            .pragma_update(None, "foreign_keys", false)
            .unwrap();
        assert!(connection.execute(sql, []).unwrap() > 0, "{sql}");
    }
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&to).unwrap();
            copy_folder(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

pub(crate) async fn push_blob(
    storage: &Storage,
    repo: &RepoName,
    content: &[u8],
    of: Algorithm,
) -> Digest {
    let digest = Digest::of(of, content);
    let content = Bytes::copy_from_slice(content);
    let body = futures_util::stream::iter([Ok(content)]).boxed();
    let uploads = &storage.uploads;
    uploads
        .whole(repo, &digest, body, None, now())
        .await
        .unwrap();
    digest
}

pub(crate) fn descriptor(media_type: MediaType, digest: Digest, content: &[u8]) -> Descriptor {
    Descriptor::new(media_type, digest, content.len() as u64)
}

/// Parses what a client would send with this `Content-Type`.
pub(crate) fn manifest(body: &Value, media_type: &MediaType, of: Algorithm) -> Manifest {
    let body = serde_json::to_vec(body).unwrap();
    Manifest::parse(body.into(), Some(media_type), of).unwrap()
}

pub(crate) async fn put(
    storage: &Storage,
    repo: &RepoName,
    manifest: &Manifest,
    tags: &[Tag],
) -> Digest {
    let catalog = &storage.catalog;
    catalog
        .put(repo, manifest, tags, MoveTags::Allowed, now())
        .await
        .unwrap();
    manifest.digest()
}

/// An image of one layer, which says `text`.
pub(crate) fn image(text: &str, of: Algorithm) -> Manifest {
    let (config, layer) = (format!("config {text}"), format!("layer {text}"));
    let at = |media_type, content: &str| {
        let content = content.as_bytes();
        descriptor(media_type, Digest::of(of, content), content)
    };
    let body = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": at(MediaType::OCI_CONFIG, &config),
        "layers": [at(MediaType::OCI_LAYER, &layer)],
    });
    manifest(&body, &MediaType::OCI_MANIFEST, of)
}

/// Pushes such an image with its blobs.
pub(crate) async fn push_image(
    storage: &Storage,
    repo: &RepoName,
    text: &str,
    of: Algorithm,
    tags: &[Tag],
) -> Digest {
    for content in [format!("config {text}"), format!("layer {text}")] {
        push_blob(storage, repo, content.as_bytes(), of).await;
    }
    put(storage, repo, &image(text, of), tags).await
}

/// All that an index knows, but for times and for what is nobody's.
pub(crate) async fn dump(index: &dyn Index) -> BTreeMap<RepoName, Contents> {
    const ALL: usize = 100_000;
    let mut dump = BTreeMap::new();
    for repo in index.all_repositories(None, ALL).await.unwrap() {
        let mut layers = BTreeMap::new();
        for digest in index.layers(&repo, None, ALL).await.unwrap() {
            layers.insert(digest, index.blob(&repo, &digest).await.unwrap());
        }
        let revisions = index.revisions(&repo, None, ALL).await.unwrap();
        let mut referrers = BTreeMap::new();
        for edge in revisions.iter().flat_map(|revision| &revision.edges) {
            let of = index.referrers(&repo, &edge.target, None, None, ALL).await;
            referrers.insert(edge.target, of.unwrap().entries);
        }
        let contents = Contents {
            layers,
            revisions,
            tags: index.tag_targets(&repo, None, ALL).await.unwrap(),
            referrers,
            is_listed: index.tags(&repo, None, 1).await.unwrap().is_some(),
        };
        if !contents.layers.is_empty() || !contents.revisions.is_empty() {
            dump.insert(repo, contents);
        }
    }
    dump
}

/// All that an index knows of a repository.
#[derive(Debug, PartialEq)]
pub(crate) struct Contents {
    layers: BTreeMap<Digest, Option<u64>>,
    revisions: Vec<ManifestRecord>,
    tags: Vec<(Tag, Digest)>,
    referrers: BTreeMap<Digest, Vec<Descriptor>>,
    is_listed: bool,
}

pub(crate) async fn dump_file(path: &Path) -> BTreeMap<RepoName, Contents> {
    dump(&SqliteIndex::open_beside_server(path).unwrap()).await
}
