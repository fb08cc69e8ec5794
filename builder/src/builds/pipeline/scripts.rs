//! Scripts at a URL of the request. They are kept beside the source, for what is at a URL may be another tomorrow, or gone.

use std::collections::BTreeMap;
use std::io::{self, Read};

use oci::{Algorithm, Descriptor, Digest, Manifest, MediaType, RepoName};
use serde_json::json;

use super::{Pipeline, keep};
use crate::builds::reason::machine;
use crate::builds::reproduce::is_check;
use crate::driver::Failure;
use crate::images::ImageName;
use crate::records::Run;
use crate::s2i::{Reason, Script, ScriptsUrl};
use crate::source::{MAX_SCRIPT_BYTES, fetch_scripts};

/// What the kept scripts of a run are: an artifact with a layer each, by digest.
const ARTIFACT_TYPE: &str = "application/vnd.slipway.scripts.v1";

/// Of a script.
const MEDIA_TYPE: &str = "application/vnd.slipway.script";

/// The annotation of a layer that says which script it is.
const TITLE: &str = "org.opencontainers.image.title";

/// Scripts as a plan has them.
#[derive(Default)]
pub(super) struct FetchedScripts {
    /// Which there are.
    pub(super) named: BTreeMap<Script, Digest>,
    pub(super) contents: BTreeMap<Digest, Vec<u8>>,
}

/// Scripts, by what they are.
type Scripts = BTreeMap<Script, Vec<u8>>;

impl Pipeline<'_> {
    /// The scripts at the URL, or, for a run that is to give the same as an earlier one, those which that one had kept. Once
    /// for a run: another time others may be there.
    pub(super) async fn scripts(&self) -> Result<FetchedScripts, Failure> {
        let Some(ScriptsUrl::Web(url)) = &self.wanted.scripts_url else {
            return Ok(FetchedScripts::default());
        };
        let kept = self.run.resolved.scripts.as_ref();
        let found = match kept.filter(|_| is_check(self.run)) {
            Some(kept) => self.kept_scripts(kept).await?,
            None => self.new_scripts(url).await?,
        };
        let mut scripts = FetchedScripts::default();
        for (script, content) in found {
            let digest = Digest::of(Algorithm::Sha256, &content);
            scripts.named.insert(script, digest);
            scripts.contents.insert(digest, content);
        }
        Ok(scripts)
    }

    async fn new_scripts(&self, url: &str) -> Result<Scripts, Failure> {
        let time = self.builds.settings().source.time;
        let network = &self.builds.parts().network;
        let found = fetch_scripts(url, &Script::ALL, network, time).await;
        // Whatever it was: the contract has one reason for it.
        let found = found.map_err(|fault| not_to_be_had(fault.to_string()))?;
        let kept = if found.is_empty() {
            None
        } else {
            Some(self.keep_scripts(&found).await?.to_string())
        };
        let noted = |run: &mut Run| run.resolved.scripts.clone_from(&kept);
        self.progress.change(noted).await?;
        Ok(found)
    }

    async fn keep_scripts(&self, scripts: &Scripts) -> Result<ImageName, Failure> {
        let repo = self.sources()?;
        let (images, actor) = (self.images(), &self.run.actor);
        let mut layers = Vec::new();
        for (script, content) in scripts {
            let digest = self.put_small(&repo, content).await?;
            layers.push(json!({
                "mediaType": MEDIA_TYPE,
                "digest": digest,
                "size": content.len(),
                "annotations": {TITLE: script.to_string()},
            }));
        }
        let empty = self.put_small(&repo, b"{}").await?;
        let manifest = keep::parse(&json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_MANIFEST.as_str(),
            "artifactType": ARTIFACT_TYPE,
            "config": Descriptor::new(MediaType::OCI_EMPTY, empty, 2),
            "layers": layers,
        }))?;
        images.put_manifest(actor, &repo, &manifest, &[]).await?;
        Ok(ImageName::pinned(repo, manifest.digest()))
    }

    async fn kept_scripts(&self, kept: &str) -> Result<Scripts, Failure> {
        let name = ImageName::parse(kept, &[])
            .map_err(|error| not_to_be_had(format!("{kept}: {error}")))?;
        let missing = || {
            not_to_be_had(format!(
                "the scripts {name} are not in this registry any more"
            ))
        };
        let (images, actor) = (self.images(), &self.run.actor);
        let found = images.manifest(actor, name.repo(), name.reference());
        let manifest: Manifest = found.await?.ok_or_else(missing)?;
        let mut scripts = Scripts::new();
        for layer in manifest.layers() {
            let title = layer.annotations.get(TITLE);
            let is_called = |script: &&Script| Some(&script.to_string()) == title;
            let Some(script) = Script::ALL.iter().find(is_called) else {
                continue;
            };
            let content = self.kept_script(name.repo(), layer).await?;
            scripts.insert(*script, content.ok_or_else(missing)?);
        }
        Ok(scripts)
    }

    /// One of them; `None` if its bytes are not there any more.
    async fn kept_script(
        &self,
        repo: &RepoName,
        layer: &Descriptor,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let blob = self.images().blob(&self.run.actor, repo, &layer.digest);
        let Some(blob) = blob.await? else {
            return Ok(None);
        };
        let blob = self.until_stopped(blob);
        let read = self.builds.0.threads.spawn_blocking(move || {
            let mut content = Vec::new();
            let read = blob.take(MAX_SCRIPT_BYTES).read_to_end(&mut content);
            read.map(|_| content)
        });
        let read = read
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)));
        let content = read.map_err(|error| machine("reading a script", &error))?;
        let is_whole = Digest::of(Algorithm::Sha256, &content) == layer.digest;
        Ok(is_whole.then_some(content))
    }
}

fn not_to_be_had(message: String) -> Failure {
    Failure {
        reason: Reason::FetchScriptsFailed.into(),
        message,
    }
}
