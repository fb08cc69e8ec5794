//! The manifests of an image, and their order.

use std::collections::HashSet;

use anyhow::Context as _;
use oci::{Descriptor, Digest, Manifest, Reference};

use super::referrers::{cosign_tags, list_by_tag};
use super::sides::Side;
use super::store::Store;

/// Most manifests that one image may lead to.
const MAX_MANIFESTS: usize = 10_000;
/// How deep indexes may lie in each other.
const MAX_DEPTH: usize = 8;

/// The manifests of what is copied, leaves before roots.
#[derive(Default)]
pub(super) struct Found {
    pub(super) manifests: Vec<(Reference, Manifest)>,
    seen: HashSet<Digest>,
}

impl Found {
    /// Adds a manifest and those that it leads to.
    pub(super) async fn add(
        &mut self,
        store: &Store,
        root: Manifest,
        depth: usize,
    ) -> anyhow::Result<()> {
        anyhow::ensure!(depth <= MAX_DEPTH, "indexes lie in each other too deep");
        if !self.seen.insert(root.digest()) {
            return Ok(());
        }
        self.bounded()?;
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
    pub(super) async fn add_referrers(&mut self, store: &Store) -> anyhow::Result<()> {
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
                    self.bounded()?;
                }
            }
        }
        Ok(())
    }

    fn bounded(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.seen.len().max(self.manifests.len()) <= MAX_MANIFESTS,
            "the image leads to more than {MAX_MANIFESTS} manifests"
        );
        Ok(())
    }

    /// Every blob once.
    pub(super) fn blobs(&self) -> Vec<Descriptor> {
        let mut seen = HashSet::new();
        let manifests = self.manifests.iter().map(|(_, manifest)| manifest);
        manifests
            .flat_map(Manifest::required_blobs)
            .filter(|blob| seen.insert(blob.digest))
            .cloned()
            .collect()
    }

    /// Writes the manifests, what is tagged last.
    pub(super) async fn write(&self, target: &Side, root: Digest) -> anyhow::Result<()> {
        for (reference, manifest) in &self.manifests {
            if manifest.digest() == root {
                continue;
            }
            let is_listed = target.store.put_manifest(reference, manifest).await?;
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
            let is_listed = match &target.store {
                Store::Layout(layout) => layout.put_root(target.name.as_ref(), manifest)?,
                Store::Repository(there) => there.put_manifest(&reference, manifest).await?,
            };
            if !is_listed && manifest.subject().is_some() {
                list_by_tag(&target.store, manifest).await?;
            }
        }
        Ok(())
    }
}
