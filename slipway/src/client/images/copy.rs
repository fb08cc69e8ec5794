//! Copying an image from one place to another: roots are read first and written last, so that whatever is at the target is
//! whole at any moment.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _};
use oci::{Descriptor, Digest, Manifest, Reference};
use serde::Serialize;
use tempfile::TempDir;

use super::super::{Last, Server, remembered};
use super::archive;
use super::layout::Layout;
use super::place::Place;
use super::platform::Platform;
use super::progress::Progress;
use super::referrers::{cosign_tags, list_by_tag};
use super::repository::Repository;
use super::session::Session;
use super::store::{Arrived, Store};
use crate::cli::{AuthFile, Transport};

/// Most manifests that one image may lead to.
const MAX_MANIFESTS: usize = 10_000;
/// How deep indexes may lie in each other.
const MAX_DEPTH: usize = 8;

/// What is to be copied, and how.
pub(crate) struct Plan {
    pub(crate) from: Place,
    pub(crate) to: Place,
    /// Only this one of an index.
    pub(crate) platform: Option<Platform>,
    /// What is said about it, too.
    pub(crate) referrers: bool,
    /// Blobs under way at once.
    pub(crate) jobs: usize,
    pub(crate) auth_file: AuthFile,
    pub(crate) source: Transport,
    pub(crate) target: Transport,
}

/// What was done.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Copied {
    pub(crate) digest: String,
    pub(crate) manifests: usize,
    /// Blobs whose bytes were sent, that the registry took over from another repository, that were there.
    pub(crate) sent: usize,
    pub(crate) mounted: usize,
    pub(crate) present: usize,
    pub(crate) bytes_sent: u64,
}

/// Copies.
pub(crate) async fn copy(plan: Plan) -> anyhow::Result<Copied> {
    let mut sessions = Vec::new();
    let source = open_source(&plan, &mut sessions).await?;
    let target = open_target(&plan, &mut sessions).await?;
    let root = root(&source, plan.platform.as_ref()).await?;
    let root_digest = root.digest();
    if let Some(digest) = target.digest {
        anyhow::ensure!(
            digest == root_digest,
            "{}: that is not the digest of {}, which is {root_digest}",
            plan.to,
            plan.from
        );
    }
    let mut found = Found::default();
    found.add(&source.store, root, 0).await?;
    if plan.referrers {
        found.add_referrers(&source.store).await?;
    }

    let progress = Progress::new();
    let blobs = found.blobs();
    let total = blobs.iter().map(|blob| blob.size).sum();
    progress.begin(plan.from.to_string(), total);
    let mut copied = Copied {
        digest: root_digest.to_string(),
        manifests: found.manifests.len(),
        sent: 0,
        mounted: 0,
        present: 0,
        bytes_sent: 0,
    };
    let mut arriving = futures_util::stream::iter(&blobs)
        .map(|blob| {
            let progress = &progress;
            let (source, target) = (&source.store, &target.store);
            async move {
                let arrived = target.take_blob(blob, source, progress).await?;
                match arrived {
                    Arrived::Sent => progress.arrived(blob.size),
                    Arrived::Present | Arrived::Mounted => progress.skip(blob.size),
                }
                anyhow::Ok(arrived)
            }
        })
        .buffer_unordered(plan.jobs.max(1));
    while let Some(arrived) = arriving.try_next().await? {
        match arrived {
            Arrived::Sent => copied.sent += 1,
            Arrived::Mounted => copied.mounted += 1,
            Arrived::Present => copied.present += 1,
        }
    }
    drop(arriving);
    found.write(&target, root_digest).await?;
    copied.bytes_sent = progress.finish();
    target.close()?;
    Ok(copied)
}

/// One side.
struct Side {
    store: Store,
    reference: Option<Reference>,
    /// What the target is said to become.
    digest: Option<Digest>,
    /// The layout of an archive, and the archive that it becomes.
    unpacked: Option<TempDir>,
    archive: Option<PathBuf>,
}

impl Side {
    fn of(store: Store, reference: Option<Reference>) -> Self {
        Self {
            store,
            reference,
            digest: None,
            unpacked: None,
            archive: None,
        }
    }

    fn close(self) -> anyhow::Result<()> {
        match (&self.unpacked, &self.archive) {
            (Some(dir), Some(file)) => archive::pack(dir.path(), file),
            _ => Ok(()),
        }
    }
}

async fn open_source(plan: &Plan, sessions: &mut Vec<Arc<Session>>) -> anyhow::Result<Side> {
    match &plan.from {
        Place::Registry(name) => {
            let session = session(sessions, name.server(), plan, &plan.source).await?;
            let repository = Repository::new(session, name.repository().clone(), "pull");
            let store = Store::Repository(repository);
            Ok(Side::of(store, Some(name.reference()?)))
        }
        Place::Layout { dir, tag } => {
            let layout = Layout::open(dir)?;
            let reference = match tag {
                Some(tag) => tag.clone().into(),
                None => layout.only()?,
            };
            Ok(Side::of(Store::Layout(layout), Some(reference)))
        }
        Place::Archive { file, tag } => {
            let dir = archive::unpack(file)?;
            let layout = Layout::open(dir.path()).with_context(|| plan.from.to_string())?;
            let reference = match tag {
                Some(tag) => tag.clone().into(),
                None => layout.only().with_context(|| plan.from.to_string())?,
            };
            Ok(Side {
                unpacked: Some(dir),
                ..Side::of(Store::Layout(layout), Some(reference))
            })
        }
    }
}

async fn open_target(plan: &Plan, sessions: &mut Vec<Arc<Session>>) -> anyhow::Result<Side> {
    // A layout's image keeps the tag that it had, and containerd the whole name.
    let (had, name) = match &plan.from {
        Place::Registry(name) => (name.tag().cloned(), name.tag().map(|_| name.to_string())),
        Place::Layout { tag, .. } | Place::Archive { tag, .. } => (tag.clone(), None),
    };
    let tagged = |tag: &Option<oci::Tag>| tag.clone().or(had).map(Reference::Tag);
    match &plan.to {
        Place::Registry(name) => {
            let session = session(sessions, name.server(), plan, &plan.target).await?;
            let repository = Repository::new(session, name.repository().clone(), "pull,push");
            let reference = match (name.tag(), name.digest()) {
                (Some(tag), _) => Some(tag.clone().into()),
                (None, Some(digest)) => Some(digest.into()),
                (None, None) => Some(name.reference()?),
            };
            Ok(Side {
                digest: name.digest(),
                ..Side::of(Store::Repository(repository), reference)
            })
        }
        Place::Layout { dir, tag } => {
            let layout = Layout::create(dir, name)?;
            Ok(Side::of(Store::Layout(layout), tagged(tag)))
        }
        Place::Archive { file, tag } => {
            let dir = archive::beside(file)?;
            let layout = Layout::create(dir.path(), name)?;
            Ok(Side {
                unpacked: Some(dir),
                archive: Some(file.clone()),
                ..Side::of(Store::Layout(layout), tagged(tag))
            })
        }
    }
}

/// The way to a registry; one for both sides where they are the same, so that it is asked for tokens once.
async fn session(
    sessions: &mut Vec<Arc<Session>>,
    server: &Server,
    plan: &Plan,
    transport: &Transport,
) -> anyhow::Result<Arc<Session>> {
    if let Some(known) = sessions.iter().find(|known| known.server() == server) {
        return Ok(Arc::clone(known));
    }
    let last = Last::load()?.filter(|last| last.server == server.name());
    let transport = remembered(transport.clone(), last);
    let opened = Arc::new(Session::open(server, &plan.auth_file, &transport).await?);
    sessions.push(Arc::clone(&opened));
    Ok(opened)
}

async fn root(source: &Side, platform: Option<&Platform>) -> anyhow::Result<Manifest> {
    let reference = source.reference.clone().context("which image?")?;
    let place = || source.store.place(&reference);
    let missing = || format!("{}: there is none, or it is not yours to see", place());
    let root = source.store.manifest(&reference).await?;
    let root = root.with_context(missing)?;
    let Some(platform) = platform.filter(|_| !root.children().is_empty()) else {
        return Ok(root);
    };
    let chosen = platform.of(&root).with_context(place)?;
    let child = source.store.manifest(&chosen.digest.into()).await?;
    child.with_context(|| source.store.place(&chosen.digest.into()))
}

/// The manifests of what is copied, leaves before roots.
#[derive(Default)]
struct Found {
    manifests: Vec<(Reference, Manifest)>,
    seen: HashSet<Digest>,
}

impl Found {
    /// Adds a manifest and those that it leads to.
    async fn add(&mut self, store: &Store, root: Manifest, depth: usize) -> anyhow::Result<()> {
        anyhow::ensure!(depth <= MAX_DEPTH, "indexes lie in each other too deep");
        if !self.seen.insert(root.digest()) {
            return Ok(());
        }
        anyhow::ensure!(
            self.seen.len() <= MAX_MANIFESTS,
            "more than {MAX_MANIFESTS} manifests"
        );
        for child in root.children() {
            let reference = Reference::Digest(child.digest);
            let manifest = store.manifest(&reference).await?.with_context(|| {
                format!(
                    "{}: the index lists it, and it is not there; name one --platform to copy",
                    store.place(&reference)
                )
            })?;
            Box::pin(self.add(store, manifest, depth + 1)).await?;
        }
        self.manifests.push((root.digest().into(), root));
        Ok(())
    }

    /// Adds what is said about the manifests, and about that in turn.
    async fn add_referrers(&mut self, store: &Store) -> anyhow::Result<()> {
        let mut at = 0;
        while let Some((_, manifest)) = self.manifests.get(at) {
            at += 1;
            let subject = manifest.digest();
            for referrer in store.referrers(subject).await? {
                let found = store.manifest(&referrer.digest.into()).await?;
                if let Some(found) = found {
                    self.add(store, found, 0).await?;
                }
            }
            for tag in cosign_tags(subject) {
                let reference = Reference::Tag(tag);
                if let Some(found) = store.manifest(&reference).await? {
                    self.seen.insert(found.digest());
                    self.manifests.push((reference, found));
                }
            }
        }
        Ok(())
    }

    /// Every blob once.
    fn blobs(&self) -> Vec<Descriptor> {
        let mut seen = HashSet::new();
        let manifests = self.manifests.iter().map(|(_, manifest)| manifest);
        manifests
            .flat_map(Manifest::required_blobs)
            .filter(|blob| seen.insert(blob.digest))
            .cloned()
            .collect()
    }

    /// Writes the manifests, what is tagged last.
    async fn write(&self, target: &Side, root: Digest) -> anyhow::Result<()> {
        for (reference, manifest) in &self.manifests {
            if manifest.digest() == root {
                continue;
            }
            let is_listed = target
                .store
                .put_manifest(reference, manifest, reference.tag().is_some())
                .await?;
            if !is_listed && manifest.subject().is_some() {
                list_by_tag(&target.store, manifest).await?;
            }
        }
        for (_, manifest) in self
            .manifests
            .iter()
            .filter(|(_, one)| one.digest() == root)
        {
            let reference = target.reference.clone().unwrap_or(root.into());
            let is_listed = target
                .store
                .put_manifest(&reference, manifest, true)
                .await?;
            if !is_listed && manifest.subject().is_some() {
                list_by_tag(&target.store, manifest).await?;
            }
        }
        Ok(())
    }
}
