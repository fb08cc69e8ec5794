//! The source comes: from git, or out of the registry.

use std::collections::BTreeMap;
use std::io::{BufReader, Read};

use oci::{Descriptor, Digest, Hasher, Manifest};

use super::{Pipeline, keep};
use crate::Compression;
use crate::builds::reason::{failure, machine};
use crate::builds::spec::Source;
use crate::builds::submit::is_check;
use crate::driver::Failure;
use crate::images::ImageName;
use crate::plan::Commit;
use crate::records::{Cause, OwnReason, Run, State};
use crate::source::git::Found;
use crate::source::{Snapshot, SourceLimits, upload};

/// How many of the build's runs are looked at for the commit.
const LOOKED_AT: usize = 20;

/// A source that is here.
pub(super) struct Fetched {
    pub(super) snapshot: Snapshot,
    /// No file of the result is younger, in seconds since 1970.
    pub(super) epoch: u64,
}

impl Pipeline<'_> {
    pub(super) async fn fetch(&self) -> Result<Fetched, Failure> {
        let pinned = match &self.run.resolved.source {
            Some(source) if is_check(self.run) => Some(source),
            _ => None,
        };
        let (snapshot, kept) = match (pinned, &self.wanted.source) {
            (Some(source), _) => {
                let name = ImageName::parse(source, &[]).map_err(|error| {
                    failure(OwnReason::SourceNotFound, format!("{source}: {error}"))
                })?;
                self.kept(&name).await?
            }
            (None, Source::Image(name)) => self.kept(name).await?,
            (None, git @ Source::Git { .. }) => self.git(git.clone()).await?,
        };
        for warning in snapshot.warnings() {
            self.note(warning.to_string()).await;
        }
        let commit = snapshot.source().commit;
        let epoch = self.run.resolved.epoch.filter(|_| is_check(self.run));
        let epoch = epoch.unwrap_or_else(|| {
            let date = commit.as_ref().and_then(|commit| authored(&commit.date));
            date.unwrap_or(Snapshot::MTIME)
        });
        if let (None, Some(pattern)) = (&commit, self.wanted.output.wants_commit())
            && !is_check(self.run)
        {
            let text = format!("the source has no commit for the tag {pattern}");
            // What is sent once to a build of a repository is no mistake of the build's.
            if self.run.build.is_none() {
                let text = format!("{text}: leave the tag out, or name one");
                return Err(failure(OwnReason::InvalidSpec, text));
            }
            self.note(format!("{text}: it is left out")).await;
        }
        let change = |run: &mut Run| {
            run.resolved.commit = commit.as_ref().map(|commit| commit.id.clone());
            run.resolved.source = Some(kept.to_string());
            run.resolved.epoch = Some(epoch);
        };
        self.progress.change(change).await?;
        Ok(Fetched { snapshot, epoch })
    }

    /// What the repository has, kept: by this run, or by an earlier one of the same commit.
    async fn git(&self, source: Source) -> Result<(Snapshot, ImageName), Failure> {
        let Some(source) = self
            .builds
            .git_source(self.namespace(), source, self.run.spec.ignore)
            .await?
        else {
            return Err(failure(
                OwnReason::InvalidSpec,
                "the source is no git repository",
            ));
        };
        self.note(format!("fetching {}", source.url)).await;
        let git = &self.builds.parts().git;
        let known = self.known().await?;
        let is_known = |commit: &str| known.contains_key(commit);
        let found = git.fetch_unless(self.namespace(), &source, &is_known);
        let (mut new, mut earlier) = (None, None);
        match found.await? {
            Found::New(snapshot) => new = Some(*snapshot),
            Found::Known { commit, reference } => {
                if let Some(name) = known.get(&commit) {
                    // Somebody may have removed it, or this run may not see it. The branch or tag is a label of the result.
                    let kept = self.kept(name).await.ok();
                    let is_same = |commit: &Commit| commit.reference == reference;
                    earlier = kept.filter(|(snapshot, _)| {
                        snapshot.source().commit.as_ref().is_some_and(is_same)
                    });
                }
            }
        }
        let (snapshot, kept) = if let Some(earlier) = earlier {
            earlier
        } else {
            let snapshot = match new {
                Some(snapshot) => snapshot,
                None => git.fetch(self.namespace(), &source).await?,
            };
            let kept = self.keep(&snapshot).await?;
            (snapshot, kept)
        };
        if let Some(commit) = &snapshot.source().commit {
            let text = format!("commit {} {}", commit.id, commit.message);
            self.note(text).await;
            // What a webhook's caller says of a branch is asked of the repository: a commit that only somebody's fork has can be
            // fetched from many servers too, and is not what the branch has.
            if let Cause::Webhook {
                commit: Some(pushed),
                ..
            } = &self.run.cause
                && *pushed != commit.id
            {
                let text = format!(
                    "commit {pushed}, which was pushed, is not what the revision stands for now: building {}",
                    commit.id
                );
                self.note(text).await;
            }
        }
        self.note(format!("kept as {kept}")).await;
        Ok((snapshot, kept))
    }

    /// Where earlier runs of the build kept which commits of the same repository, taken from it in the same way.
    async fn known(&self) -> Result<BTreeMap<String, ImageName>, Failure> {
        let (Some(build), now) = (&self.run.build, &self.run.spec) else {
            return Ok(BTreeMap::new());
        };
        let is_alike = |run: &Run| {
            run.state == State::Succeeded
                && run.spec.ignore == now.ignore
                && run.spec.source.is_alike(&now.source)
        };
        let runs = self
            .builds
            .newest(self.namespace(), Some(build), LOOKED_AT, is_alike)
            .await?;
        let kept = runs.into_iter().filter_map(|run| {
            let (commit, source) = (run.value.resolved.commit?, run.value.resolved.source?);
            Some((commit, ImageName::parse(&source, &[]).ok()?))
        });
        Ok(kept.collect())
    }

    /// A snapshot that was kept or sent.
    async fn kept(&self, name: &ImageName) -> Result<(Snapshot, ImageName), Failure> {
        let missing = || {
            let message = format!(
                "the source {name} is not in this registry (any more): send or fetch it again"
            );
            failure(OwnReason::SourceNotFound, message)
        };
        let images = self.images();
        let actor = &self.run.actor;
        let manifest = images
            .manifest(actor, name.repo(), name.reference())
            .await?;
        let manifest = manifest.ok_or_else(missing)?;
        let layer = layer(&manifest, name)?;
        let compression = Compression::of(&layer.media_type).ok_or_else(|| {
            let message = format!("{name} is no source: its layer is {}", layer.media_type);
            failure(OwnReason::SourceNotFound, message)
        })?;
        let blob = images.blob(actor, name.repo(), &layer.digest).await?;
        let blob = blob.ok_or_else(missing)?;
        let settings = self.builds.settings();
        let (ignore, limits) = (self.run.spec.ignore, settings.source);
        let scratch = settings.scratch.clone();
        let (blob, stop) = (self.until_stopped(blob), self.stop.token().clone());
        let read = self.builds.0.threads.spawn_blocking(move || {
            let mut checked = Checked::new(blob, &layer, limits);
            let snapshot = match compression {
                Compression::Plain | Compression::Gzip => {
                    upload::archive(&mut checked, ignore, limits, &scratch, &stop)
                }
                Compression::Zstd => {
                    let decoder = compression.reader(BufReader::new(&mut checked));
                    let decoder = decoder.map_err(|error| machine("zstd", &error))?;
                    upload::archive(decoder, ignore, limits, &scratch, &stop)
                }
            }?;
            checked.finish()?;
            Ok::<_, Failure>(snapshot)
        });
        let read = read
            .await
            .map_err(|error| machine("reading the source", &error.into()))?;
        let mut snapshot = read?;
        keep::recall(&mut snapshot, &manifest);
        let kept = ImageName::pinned(name.repo().clone(), manifest.digest());
        Ok((snapshot, kept))
    }
}

/// The one layer of a source.
fn layer(manifest: &Manifest, name: &ImageName) -> Result<Descriptor, Failure> {
    match manifest.layers() {
        [layer] => Ok(layer.clone()),
        layers => Err(failure(
            OwnReason::SourceNotFound,
            format!(
                "{name} is no source: it has {} layers, and a source has one, a tar",
                layers.len()
            ),
        )),
    }
}

/// A blob that is compared with its digest as it is read, and not read beyond its length.
struct Checked<R> {
    blob: R,
    hasher: Hasher,
    left: u64,
    digest: Digest,
}

impl<R: Read> Checked<R> {
    fn new(blob: R, layer: &Descriptor, limits: SourceLimits) -> Self {
        Self {
            blob,
            hasher: Hasher::new(layer.digest.algorithm()),
            left: layer.size.min(limits.fetched_bytes),
            digest: layer.digest,
        }
    }

    /// Reads what is left; what was read must be the blob.
    fn finish(mut self) -> Result<(), Failure> {
        std::io::copy(&mut self, &mut std::io::sink())
            .map_err(|error| machine("reading the source", &error))?;
        if self.hasher.finish() == self.digest {
            return Ok(());
        }
        let message = "the source's bytes in the registry are not those that its digest names, or too many of them";
        Err(failure(OwnReason::SourceNotFound, message))
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let most = most.min(buffer.len());
        let read = self.blob.read(&mut buffer[..most])?;
        self.hasher.update(&buffer[..read]);
        self.left -= read as u64;
        Ok(read)
    }
}

/// When a commit was authored, in seconds since 1970, of git's `Thu Jan 1 00:00:00 1970 +0000`.
fn authored(date: &str) -> Option<u64> {
    let at = jiff::Timestamp::strptime("%a %b %d %H:%M:%S %Y %z", date).ok()?;
    u64::try_from(at.as_second()).ok()
}

#[cfg(test)]
mod tests {
    use oci::Algorithm;

    use super::*;

    #[test]
    fn dates_of_git_are_read() {
        assert_eq!(authored("Thu Jan 1 00:00:00 1970 +0000"), Some(0));
        assert_eq!(
            authored("Sat Nov 21 17:00:00 2026 +0100"),
            Some(1_795_276_800)
        );
        assert_eq!(authored("Wed Dec 31 23:59:59 1969 +0000"), None);
        assert_eq!(authored("yesterday"), None);
    }

    #[test]
    fn a_blob_of_another_digest_is_refused() {
        let bytes = b"a source".to_vec();
        let digest = Digest::of(Algorithm::Sha256, &bytes);
        let layer = Descriptor::new(oci::MediaType::OCI_LAYER, digest, bytes.len() as u64);
        let limits = SourceLimits::default();
        Checked::new(std::io::Cursor::new(bytes), &layer, limits)
            .finish()
            .unwrap();
        let other = std::io::Cursor::new(b"another!".to_vec());
        Checked::new(other, &layer, limits).finish().unwrap_err();
    }
}
