//! Sources are kept in the registry, so that any run can be done again: one artifact each, by digest, in a repository of
//! their own. Whoever may pull an image need not see its source: that takes a right with builds, too.

use std::collections::BTreeMap;
use std::io::{self, Seek as _, Write};

use oci::{Algorithm, Descriptor, Digest, Expected, Manifest, MediaType, RepoName};
use serde_json::json;

use super::Pipeline;
use crate::builds::reason::{failure, machine};
use crate::driver::Failure;
use crate::images::ImageName;
use crate::plan::{Commit, Source};
use crate::records::OwnReason;
use crate::scratch;
use crate::source::{self, ARTIFACT_TYPE, CONFIG_TYPE, Snapshot};

const URL: &str = "org.opencontainers.image.source";
const COMMIT: &str = "org.opencontainers.image.revision";
const CONTEXT_DIR: &str = "dev.slipway.source.context-dir";
const REFERENCE: &str = "dev.slipway.source.reference";
const AUTHOR_NAME: &str = "dev.slipway.source.author-name";
const AUTHOR_EMAIL: &str = "dev.slipway.source.author-email";
const DATE: &str = "dev.slipway.source.date";
const MESSAGE: &str = "dev.slipway.source.message";

impl Pipeline<'_> {
    /// Keeps a snapshot in `<namespace>/sources/<build or run>`.
    pub(super) async fn keep(&self, snapshot: &Snapshot) -> Result<ImageName, Failure> {
        let repo = self.sources()?;
        let tar = snapshot
            .open()
            .map_err(|error| machine("the source", &error))?;
        let folder = self.builds.settings().scratch.clone();
        let tar = self.until_stopped(tar);
        let written = self.writing.ours().clone();
        let threads = &self.builds.0.threads;
        let packed = threads
            .spawn_blocking(move || source::pack_for(&written, tar, scratch::unnamed(&folder)?));
        let packed = packed
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)));
        let (file, layer) = packed.map_err(|error| machine("packing the source", &error))?;
        let config = source::config(snapshot, self.run.spec.ignore);
        let config =
            config.map_err(|error| machine("the source's config", &io::Error::from(error)))?;
        let actor = &self.run.actor;
        let images = self.images();
        let tar = async {
            let put = images.put_blob(actor, &repo, &layer.digest, file);
            put.await.map_err(Failure::from)
        };
        // Their syncs overlap.
        let (digest, ()) = tokio::try_join!(self.put_small(&repo, &config), tar)?;
        let config = json!({"mediaType": CONFIG_TYPE, "digest": digest, "size": config.len()});
        let manifest = manifest(snapshot, &config, &layer)?;
        images.put_manifest(actor, &repo, &manifest, &[]).await?;
        Ok(ImageName::pinned(repo, manifest.digest()))
    }

    /// The repository of what this run was made of.
    pub(super) fn sources(&self) -> Result<RepoName, Failure> {
        let owner = self.run.build.as_ref().unwrap_or(&self.run.metadata.name);
        RepoName::of_sources(self.namespace(), owner)
            .map_err(|error| failure(OwnReason::InvalidSpec, format!("{owner}: {error}")))
    }

    /// Stores a few bytes as a blob.
    pub(super) async fn put_small(&self, repo: &RepoName, bytes: &[u8]) -> Result<Digest, Failure> {
        let file = || {
            let mut file = scratch::unnamed(&self.builds.settings().scratch)?;
            file.write_all(bytes)?;
            file.rewind()?;
            Ok(file)
        };
        let file = file().map_err(|error: io::Error| machine("a temporary file", &error))?;
        let digest = Digest::of(Algorithm::Sha256, bytes);
        let put = self.images().put_blob(&self.run.actor, repo, &digest, file);
        put.await?;
        Ok(digest)
    }
}

fn manifest(
    snapshot: &Snapshot,
    config: &serde_json::Value,
    layer: &Descriptor,
) -> Result<Manifest, Failure> {
    let source = snapshot.source();
    let commit = source.commit.unwrap_or_default();
    let all = [
        (URL, source.location),
        (COMMIT, commit.id),
        (CONTEXT_DIR, source.context_dir),
        (REFERENCE, commit.reference),
        (AUTHOR_NAME, commit.author_name),
        (AUTHOR_EMAIL, commit.author_email),
        (DATE, commit.date),
        (MESSAGE, commit.message),
    ];
    let said = all.into_iter().filter(|(_, text)| !text.is_empty());
    let annotations: BTreeMap<&str, String> = said.collect();
    let json = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST.as_str(),
        "artifactType": ARTIFACT_TYPE,
        "config": config,
        "layers": [layer],
        "annotations": annotations,
    });
    parse(&json)
}

/// A manifest of our own making.
pub(super) fn parse(json: &serde_json::Value) -> Result<Manifest, Failure> {
    let bytes = json.to_string().into_bytes().into();
    let expected = Expected::Algorithm(Algorithm::Sha256);
    Manifest::parse(bytes, Some(&MediaType::OCI_MANIFEST), expected)
        .map_err(|error| failure(OwnReason::RegistryRefused, format!("the manifest: {error}")))
}

/// Says of a source again what was known of it when it was kept.
pub(super) fn recall(source: &mut Source, manifest: &Manifest) {
    let said = manifest.annotations();
    let of = |name: &str| said.get(name).cloned().unwrap_or_default();
    source.location = of(URL);
    source.context_dir = of(CONTEXT_DIR);
    if said.contains_key(COMMIT) {
        source.commit = Some(Commit {
            id: of(COMMIT),
            reference: of(REFERENCE),
            author_name: of(AUTHOR_NAME),
            author_email: of(AUTHOR_EMAIL),
            date: of(DATE),
            message: of(MESSAGE),
        });
    }
}
