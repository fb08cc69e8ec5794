//! Random work, held against a model made of maps: the same answers, and in the end the same content.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use oci::{Algorithm, Descriptor, Digest, Manifest, MediaType, RepoName, Tag};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::index::suite::{BLOB_SIZE, Subject, artifact, blob, image, list, repo, tag, then};
use crate::index::{Edge, Fact, Link, LinkState, NewManifest, PutOutcome, Unlink};
use crate::{MoveTags, Sparse, SqliteIndex};

const BLOBS: u64 = 4;

#[derive(Debug, Clone)]
enum Step {
    Hold(RepoName, u64),
    Mount(RepoName, RepoName, u64),
    Unlink(RepoName, u64),
    Put(RepoName, usize, Vec<Tag>, MoveTags, Sparse),
    DeleteTag(RepoName, Tag),
    DeleteManifest(RepoName, usize),
    ClearJournal,
    Reopen,
}

/// What may be pushed: images that share blobs, an index, referrers of what is there and of what is not.
fn manifests() -> Vec<Manifest> {
    let images = [image(0, &[1]), image(0, &[1, 2]), image(3, &[])];
    let listed: Vec<Descriptor> = images.iter().map(Manifest::descriptor).collect();
    let about = |subject, kind| artifact(3, &[], Some(subject), Some(kind), &[]);
    let mut all = vec![
        list(&listed[..2]),
        about(images[0].digest(), "kind/one"),
        about(images[0].digest(), "kind/two"),
        about(blob(99), "kind/one"),
    ];
    all.extend(images);
    // The same bytes as two things.
    all.extend(["a/one", "a/two"].map(|name| {
        let media_type = MediaType::parse(name).unwrap();
        Manifest::parse(
            Bytes::from_static(b"{}"),
            Some(&media_type),
            Algorithm::Sha256,
        )
        .unwrap()
    }));
    all
}

fn repos() -> impl Strategy<Value = RepoName> {
    select(vec!["a", "a-b", "a/b"]).prop_map(repo)
}

fn tag_names() -> Vec<Tag> {
    ["v1", "V1", "v1-a", "v1.0"].map(tag).to_vec()
}

fn steps() -> impl Strategy<Value = Step> {
    let which = || 0..manifests().len();
    let moves = select(vec![MoveTags::Allowed, MoveTags::Refused]);
    let sparse = select(vec![Sparse::Allowed, Sparse::Refused, Sparse::Refused]);
    prop_oneof![
        6 => (repos(), 0..BLOBS).prop_map(|(r, b)| Step::Hold(r, b)),
        2 => (repos(), repos(), 0..BLOBS).prop_map(|(i, f, b)| Step::Mount(i, f, b)),
        2 => (repos(), 0..BLOBS).prop_map(|(r, b)| Step::Unlink(r, b)),
        8 => (repos(), which(), subsequence(tag_names(), 0..=3), moves, sparse)
            .prop_map(|(r, m, t, moves, sparse)| Step::Put(r, m, t, moves, sparse)),
        2 => (repos(), select(tag_names())).prop_map(|(r, t)| Step::DeleteTag(r, t)),
        3 => (repos(), which()).prop_map(|(r, m)| Step::DeleteManifest(r, m)),
        1 => Just(Step::ClearJournal),
        1 => Just(Step::Reopen),
    ]
}

#[derive(Debug, Default, Clone, PartialEq)]
struct Repository {
    blobs: BTreeSet<Digest>,
    manifests: BTreeMap<Digest, usize>,
    tags: BTreeMap<Tag, Digest>,
}

#[derive(Debug, Default)]
struct Model {
    repositories: BTreeMap<RepoName, Repository>,
    stored: BTreeMap<Digest, u64>,
    journal: Vec<Link>,
}

impl Model {
    fn of(&mut self, repo: &RepoName) -> &mut Repository {
        self.repositories.entry(repo.clone()).or_default()
    }

    fn hold(&mut self, repo: &RepoName, digest: Digest) {
        self.of(repo).blobs.insert(digest);
        self.stored.insert(digest, BLOB_SIZE);
        self.journal.push(Link::Layer(repo.clone(), digest));
    }

    fn unlink(&mut self, repo: &RepoName, digest: Digest) -> Unlink {
        let all = manifests();
        let there = self.of(repo);
        if !there.blobs.contains(&digest) {
            return Unlink::Unknown;
        }
        let needs = |which: &usize| {
            let manifest = &all[*which];
            let mut blobs = manifest.config().into_iter().chain(manifest.layers());
            blobs.any(|blob| blob.digest == digest)
        };
        if there.manifests.values().any(needs) {
            return Unlink::Referenced;
        }
        there.blobs.remove(&digest);
        self.journal.push(Link::Layer(repo.clone(), digest));
        Unlink::Done
    }

    fn put(
        &mut self,
        repo: &RepoName,
        which: usize,
        tags: &[Tag],
        moves: MoveTags,
        sparse: Sparse,
    ) -> PutOutcome {
        let manifest = &manifests()[which];
        let digest = manifest.digest();
        let there = self.repositories.get(repo).cloned().unwrap_or_default();
        if sparse == Sparse::Refused {
            let required = manifest.required_blobs().map(|blob| blob.digest);
            let missing: Vec<Digest> = required.filter(|d| !there.blobs.contains(d)).collect();
            if !missing.is_empty() {
                return PutOutcome::MissingBlobs(missing);
            }
        }
        if moves == MoveTags::Refused {
            let is_taken = |tag: &&Tag| there.tags.get(*tag).is_some_and(|other| *other != digest);
            if let Some(taken) = tags.iter().find(is_taken) {
                return PutOutcome::TagExists(taken.clone());
            }
            let known = there.manifests.get(&digest);
            let known = known.map(|which| manifests()[*which].media_type().clone());
            if let Some(known) = known.filter(|known| known != manifest.media_type()) {
                return PutOutcome::OtherType(known);
            }
        }
        self.stored.insert(digest, manifest.bytes().len() as u64);
        self.of(repo).manifests.insert(digest, which);
        self.journal.push(Link::Revision(repo.clone(), digest));
        for tag in tags {
            self.of(repo).tags.insert(tag.clone(), digest);
            self.journal.push(Link::Tag(repo.clone(), tag.clone()));
        }
        PutOutcome::Done
    }

    fn delete_manifest(&mut self, repo: &RepoName, digest: Digest) -> Option<Vec<Tag>> {
        let there = self.of(repo);
        there.manifests.remove(&digest)?;
        let tags = there.tags.iter().filter(|(_, to)| **to == digest);
        let freed: Vec<Tag> = tags.map(|(tag, _)| tag.clone()).collect();
        there.tags.retain(|_, to| *to != digest);
        let links = freed.iter().map(|tag| Link::Tag(repo.clone(), tag.clone()));
        self.journal.extend(links);
        self.journal.push(Link::Revision(repo.clone(), digest));
        Some(freed)
    }
}

/// Where the index under test is.
enum Home {
    Memory(Subject),
    File(TempDir, Option<Subject>),
}

impl Home {
    fn memory() -> Self {
        Self::Memory(Arc::new(SqliteIndex::in_memory().unwrap()))
    }

    fn file() -> Self {
        let mut home = Self::File(tempfile::tempdir().unwrap(), None);
        home.reopen();
        home
    }

    fn index(&self) -> Subject {
        match self {
            Self::Memory(index) => Arc::clone(index),
            Self::File(_, index) => Arc::clone(index.as_ref().unwrap()),
        }
    }

    fn reopen(&mut self) {
        if let Self::File(folder, index) = self {
            drop(index.take());
            let path = folder.path().join("index.sqlite");
            *index = Some(Arc::new(SqliteIndex::open(&path).unwrap()));
        }
    }
}

async fn step(home: &mut Home, model: &mut Model, step: &Step) {
    let index = home.index();
    match step {
        Step::Hold(repo, number) => {
            let digest = blob(*number);
            let linked = index
                .link_blob(repo, &digest, BLOB_SIZE, None, then())
                .await;
            linked.unwrap();
            model.hold(repo, digest);
        }
        Step::Mount(into, from, number) => {
            let digest = blob(*number);
            let mounted = index.mount_blob(into, from, &digest, then()).await.unwrap();
            let is_there = model.of(from).blobs.contains(&digest);
            assert_eq!(mounted, is_there.then_some(BLOB_SIZE));
            if is_there {
                model.hold(into, digest);
            }
        }
        Step::Unlink(repo, number) => {
            let unlinked = index
                .unlink_blob(repo, &blob(*number), then())
                .await
                .unwrap();
            assert_eq!(unlinked, model.unlink(repo, blob(*number)));
        }
        Step::Put(repo, which, tags, moves, sparse) => {
            let new = NewManifest {
                repo,
                manifest: &manifests()[*which],
                tags,
                moves: *moves,
                sparse: *sparse,
                cause: then(),
            };
            let outcome = index.put_manifest(&new).await.unwrap();
            assert_eq!(outcome, model.put(repo, *which, tags, *moves, *sparse));
        }
        Step::DeleteTag(repo, tag) => {
            let deleted = index.delete_tag(repo, tag, then()).await.unwrap();
            assert_eq!(deleted, model.of(repo).tags.remove(tag).is_some());
            if deleted {
                model.journal.push(Link::Tag(repo.clone(), tag.clone()));
            }
        }
        Step::DeleteManifest(repo, which) => {
            let digest = manifests()[*which].digest();
            let freed = index.delete_manifest(repo, &digest, then()).await.unwrap();
            let freed = freed.map(BTreeSet::from_iter);
            let expected = model.delete_manifest(repo, digest).map(BTreeSet::from_iter);
            assert_eq!(freed, expected);
        }
        Step::ClearJournal => {
            let rows = index.journal(0, 10_000).await.unwrap();
            let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
            index.clear_journal(&ids).await.unwrap();
            model.journal.clear();
        }
        Step::Reopen => {
            drop(index);
            home.reopen();
        }
    }
}

/// Everything that can be asked says what the model says.
async fn compare(index: &Subject, model: &Model) {
    let listed = model
        .repositories
        .iter()
        .filter(|(_, r)| !r.manifests.is_empty());
    let listed: Vec<RepoName> = listed.map(|(name, _)| name.clone()).collect();
    assert_eq!(index.repositories(None, 100).await.unwrap(), listed);
    let blobs = index.all_blobs(None, 1_000).await.unwrap();
    assert_eq!(BTreeMap::from_iter(blobs), model.stored);
    let all = manifests();
    for (name, there) in &model.repositories {
        let tags = index.tags(name, None, 100).await.unwrap();
        let expected = there.tags.keys().cloned().collect();
        assert_eq!(tags, (!there.manifests.is_empty()).then_some(expected));
        let targets = index.tag_targets(name, None, 100).await.unwrap();
        assert_eq!(BTreeMap::from_iter(targets), there.tags);
        let layers = index.layers(name, None, 100).await.unwrap();
        assert_eq!(layers, there.blobs.iter().copied().collect::<Vec<_>>());
        let records = index.revisions(name, None, 100).await.unwrap();
        assert_eq!(records.len(), there.manifests.len());
        for (record, (digest, which)) in records.iter().zip(&there.manifests) {
            assert_eq!(record.facts.digest, *digest);
            assert_eq!(record.edges, Edge::of(&all[*which]));
        }
        for subject in [all[4].digest(), blob(99)] {
            for kind in [None, Some("kind/one")] {
                let found = index
                    .referrers(name, &subject, kind, None, 100)
                    .await
                    .unwrap();
                let is_meant = |manifest: &&&Manifest| {
                    manifest.subject().is_some_and(|s| s.digest == subject)
                        && kind.is_none_or(|kind| manifest.artifact_type() == Some(kind))
                };
                let here = there.manifests.values().map(|which| &all[*which]);
                let expected: Vec<Descriptor> = here
                    .collect::<Vec<_>>()
                    .iter()
                    .filter(is_meant)
                    .map(|m| m.descriptor())
                    .collect();
                assert_eq!(found.entries, expected);
            }
        }
    }
    compare_journal(index, model).await;
    assert_eq!(index.damage().await.unwrap(), [""; 0]);
}

/// Each link that may be stale is in the journal, and is said to be what the model says.
async fn compare_journal(index: &Subject, model: &Model) {
    let rows = index.journal(0, 10_000).await.unwrap();
    let links: BTreeSet<String> = rows.iter().map(|row| format!("{:?}", row.link)).collect();
    let expected = model
        .journal
        .iter()
        .map(|link| format!("{link:?}"))
        .collect();
    assert_eq!(links, expected);
    for row in rows {
        let (state, ids) = index.link(&row.link).await.unwrap();
        assert!(ids.contains(&row.id));
        let expected = match &row.link {
            Link::Layer(repo, digest) => {
                let is_held = model.repositories[repo].blobs.contains(digest);
                is_held.then_some(LinkState::Present)
            }
            Link::Revision(repo, digest) => {
                let which = model.repositories[repo].manifests.get(digest);
                which.map(|which| LinkState::Revision(manifests()[*which].media_type().clone()))
            }
            Link::Tag(repo, tag) => {
                let target = model.repositories[repo].tags.get(tag);
                target.copied().map(LinkState::Tag)
            }
        };
        assert_eq!(
            state,
            expected.unwrap_or(LinkState::Absent),
            "{:?}",
            row.link
        );
    }
}

/// The model's content as facts gives an index that says the same.
async fn load(model: &mut Model) -> Subject {
    let index: Subject = Arc::new(SqliteIndex::in_memory().unwrap());
    let blobs = model.stored.iter();
    let mut facts: Vec<Fact> = blobs
        .map(|(digest, size)| Fact::Blob {
            digest: *digest,
            size: *size,
        })
        .collect();
    for (name, there) in &model.repositories {
        let repo = || name.clone();
        let layers = there.blobs.iter();
        facts.extend(layers.map(|digest| Fact::Layer {
            repo: repo(),
            digest: *digest,
        }));
        for which in there.manifests.values() {
            let manifest = Box::new(manifests()[*which].clone());
            facts.push(Fact::Manifest {
                repo: repo(),
                manifest,
            });
        }
        for (tag, digest) in &there.tags {
            facts.push(Fact::Tag {
                repo: repo(),
                tag: tag.clone(),
                digest: *digest,
            });
        }
    }
    assert_eq!(index.load(facts).await.unwrap(), [0; 0]);
    model.journal.clear();
    index
}

fn run(mut home: Home, steps: &[Step]) {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let mut model = Model::default();
        for one in steps {
            step(&mut home, &mut model, one).await;
        }
        compare(&home.index(), &model).await;
        let loaded = load(&mut model).await;
        compare(&loaded, &model).await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn in_memory_it_does_what_the_model_does(steps in vec(steps(), 1..80)) {
        run(Home::memory(), &steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn in_a_file_it_does_what_the_model_does(steps in vec(steps(), 1..50)) {
        run(Home::file(), &steps);
    }
}
