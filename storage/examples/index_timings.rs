//! Prints how long the index takes at sizes that hurt others: `cargo run --release -p storage --example index_timings`.
//!
//! Nothing is asserted: times are this machine's. What must not depend on size is asserted by the tests of query plans.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "an example that prints, and ends at the first error"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use oci::{Algorithm, Descriptor, Digest, Manifest, MediaType, RepoName, Tag};
use serde_json::json;
use storage::index::sqlite::rebuild;
use storage::index::{Fact, NewManifest};
use storage::{Index, MoveTags, Sparse, SqliteIndex};

const TAGS: usize = 100_000;
const REPOSITORIES: usize = 10_000;
const REFERRERS: usize = 10_000;
const MANIFESTS: usize = 1_000_000;
const BATCH: usize = 1_000;

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.sqlite");
    let index: Arc<dyn Index> = Arc::new(SqliteIndex::open(&path).unwrap());
    pushes(&index).await;
    tags(&index).await;
    repositories(&index).await;
    referrers(&index).await;
    drop(index);
    many(&path).await;
}

fn repo(name: &str) -> RepoName {
    RepoName::parse(name).unwrap()
}

/// A manifest of ten layers that differ from those of every other number, but for the last five.
fn manifest(number: usize, subject: Option<&Manifest>) -> Manifest {
    let layers: Vec<Descriptor> = (0..10)
        .map(|layer| {
            let content = if layer < 5 {
                number * 10 + layer
            } else {
                layer
            };
            let digest = Digest::of(Algorithm::Sha256, &content.to_le_bytes());
            Descriptor::new(MediaType::OCI_LAYER_GZIP, digest, 8)
        })
        .collect();
    let body = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "artifactType": if number.is_multiple_of(10) { "kind/rare" } else { "kind/common" },
        "config": layers[0],
        "layers": layers[1..],
        "subject": subject.map(Manifest::descriptor),
        "annotations": {"org.example.number": number.to_string()},
    });
    let bytes = Bytes::from(serde_json::to_vec(&body).unwrap());
    Manifest::parse(bytes, Some(&MediaType::OCI_MANIFEST), Algorithm::Sha256).unwrap()
}

async fn load(index: &dyn Index, facts: impl Iterator<Item = Fact>) {
    let mut batch = Vec::new();
    for fact in facts {
        batch.push(fact);
        if batch.len() == BATCH {
            index.load(std::mem::take(&mut batch)).await.unwrap();
        }
    }
    index.load(batch).await.unwrap();
}

/// The best and the median of some repetitions.
async fn time<T, F: Future<Output = T>>(what: &str, again: usize, work: impl Fn() -> F) {
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..again {
        let start = Instant::now();
        work().await;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    println!(
        "{what:<58} best {:>10.1?}  median {:>10.1?}",
        times[0],
        times[again / 2]
    );
}

/// Durable pushes of a manifest and a tag, by one and by many at once.
async fn pushes(index: &Arc<dyn Index>) {
    const PUSHES: usize = 2_000;
    for at_once in [1, 64] {
        let start = Instant::now();
        let pushers: Vec<_> = (0..at_once)
            .map(|pusher| {
                let index = Arc::clone(index);
                tokio::spawn(async move {
                    for number in 0..PUSHES / at_once {
                        let manifest =
                            manifest(at_once * 1_000_000 + pusher * PUSHES + number, None);
                        let tags = [Tag::parse(&format!("v{number}")).unwrap()];
                        let new = NewManifest {
                            repo: &repo(&format!("pushed/{pusher}")),
                            manifest: &manifest,
                            tags: &tags,
                            moves: MoveTags::Allowed,
                            sparse: Sparse::Allowed,
                            cause: &SystemTime::now().into(),
                        };
                        index.put_manifest(&new).await.unwrap();
                    }
                })
            })
            .collect();
        for pusher in pushers {
            pusher.await.unwrap();
        }
        let each = start.elapsed() / u32::try_from(PUSHES).unwrap();
        println!("durable put of a manifest and a tag, {at_once:>2} at once: {each:.1?} each");
    }
}

async fn tags(index: &Arc<dyn Index>) {
    let name = repo("many/tags");
    let manifest = manifest(0, None);
    let digest = manifest.digest();
    let first = Fact::Manifest {
        repo: name.clone(),
        manifest: Box::new(manifest),
    };
    let tags = (0..TAGS).map(|number| Fact::Tag {
        repo: name.clone(),
        tag: Tag::parse(&format!("build-{number:06}")).unwrap(),
        digest,
    });
    load(&**index, std::iter::once(first).chain(tags)).await;
    time(
        "page of 100 of 100,000 tags, from the middle",
        200,
        async || {
            let page = index
                .tags(&name, Some("build-050000"), 100)
                .await
                .unwrap()
                .unwrap();
            assert_eq!(page.len(), 100);
        },
    )
    .await;
    time("all 100,000 tags", 20, async || {
        let all = index.tags(&name, None, TAGS + 1).await.unwrap().unwrap();
        assert_eq!(all.len(), TAGS);
    })
    .await;
    let tag = Tag::parse("build-077777").unwrap();
    time("one tag of 100,000", 1_000, async || {
        assert!(index.tag(&name, &tag).await.unwrap().is_some());
    })
    .await;
}

async fn repositories(index: &Arc<dyn Index>) {
    let manifest = manifest(0, None);
    let facts = (0..REPOSITORIES).map(|number| Fact::Manifest {
        repo: repo(&format!("team-{:03}/app-{number:05}", number % 100)),
        manifest: Box::new(manifest.clone()),
    });
    load(&**index, facts).await;
    time(
        "page of 100 of 10,000 repositories, from the middle",
        200,
        async || {
            let page = index.repositories(Some("team-050"), 100).await.unwrap();
            assert_eq!(page.len(), 100);
        },
    )
    .await;
    time("10,000 repositories in one page", 50, async || {
        let page = index.repositories(None, REPOSITORIES).await.unwrap();
        assert_eq!(page.len(), REPOSITORIES);
    })
    .await;
    let shared = manifest.layers()[8].digest;
    time("first 100 holders of a blob", 200, async || {
        index.holders(&shared, None, 100).await.unwrap();
    })
    .await;
}

async fn referrers(index: &Arc<dyn Index>) {
    let name = repo("many/referrers");
    let subject = manifest(0, None);
    let facts = (1..=REFERRERS).map(|number| Fact::Manifest {
        repo: name.clone(),
        manifest: Box::new(manifest(number, Some(&subject))),
    });
    load(&**index, facts).await;
    let digest = subject.digest();
    for (what, kind) in [("", None), (", of a type", Some("kind/rare"))] {
        time(
            &format!("first 100 of 10,000 referrers{what}"),
            200,
            async || {
                let page = index
                    .referrers(&name, &digest, kind, None, 100)
                    .await
                    .unwrap();
                assert_eq!(page.entries.len(), 100);
            },
        )
        .await;
    }
}

async fn many(path: &Path) {
    let start = Instant::now();
    let new = rebuild(path).unwrap();
    let facts = (0..MANIFESTS).map(|number| Fact::Manifest {
        repo: repo(&format!("many/manifests-{}", number % 1_000)),
        manifest: Box::new(manifest(number + 1_000_000, None)),
    });
    load(new.index(), facts).await;
    new.index().finish_load(SystemTime::now()).await.unwrap();
    new.put_in_place().unwrap();
    let each = start.elapsed() / u32::try_from(MANIFESTS).unwrap();
    let size = std::fs::metadata(path).unwrap().len() >> 20;
    println!(
        "{MANIFESTS} manifests of 10 blobs built anew, {each:.1?} each; the file has {size} MiB"
    );
    let index: Arc<dyn Index> = Arc::new(SqliteIndex::open(path).unwrap());
    pushes(&index).await;
    // A copy as a killed server leaves it, with its log.
    let copy = tempfile::tempdir().unwrap();
    let copied = copy.path().join("index.sqlite");
    for end in ["", "-wal"] {
        let name = |path: &Path| format!("{}{end}", path.display());
        let size = std::fs::copy(name(path), name(&copied)).unwrap();
        println!("index.sqlite{end}: {} MiB", size >> 20);
        // Or closing the copy would have to sync all of it.
        std::fs::File::open(name(&copied))
            .unwrap()
            .sync_all()
            .unwrap();
    }
    time(
        "opening after a kill, first answer, 1,000,000 manifests",
        1,
        async || {
            let index = SqliteIndex::open(&copied).unwrap();
            index.ping().await.unwrap();
            assert!(!index.is_new().await.unwrap());
        },
    )
    .await;
    time(
        "opening and first answer, 1,000,000 manifests",
        10,
        async || {
            let index = SqliteIndex::open(&copied).unwrap();
            index.ping().await.unwrap();
            assert!(!index.is_new().await.unwrap());
        },
    )
    .await;
    let last = manifest(MANIFESTS + 999_999, None).digest();
    let name = repo(&format!("many/manifests-{}", (MANIFESTS - 1) % 1_000));
    time("one manifest of 1,000,000", 1_000, async || {
        assert!(index.manifest(&name, &last).await.unwrap().is_some());
    })
    .await;
    let start = Instant::now();
    index.census(10).await.unwrap();
    println!("counting everything: {:.1?}", start.elapsed());
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    for line in status
        .lines()
        .filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM"))
    {
        println!("{line}");
    }
}
