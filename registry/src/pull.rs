//! Reading manifests and blobs.

use std::sync::Arc;

use auth::{Permit, Pull};
use oci::{Digest, Reference};
use storage::{Object, StoredManifest};

use crate::{Error, Registry};

impl Registry {
    /// The manifest in memory, if it is there: the hot half of [`Registry::manifest`].
    pub fn cached_manifest(
        &self,
        permit: &Permit<Pull>,
        reference: &Reference,
    ) -> Option<Arc<StoredManifest>> {
        self.storage.catalog.cached(permit.repo(), reference)
    }

    /// The manifest that `reference` names, as the exact bytes that were pushed.
    pub async fn manifest(
        &self,
        permit: &Permit<Pull>,
        reference: &Reference,
    ) -> Result<Arc<StoredManifest>, Error> {
        self.storage
            .catalog
            .manifest(permit.repo(), reference)
            .await?
            .ok_or_else(|| Error::ManifestUnknown(permit.repo().clone(), reference.clone()))
    }

    /// A blob's size in bytes.
    pub async fn blob_size(&self, permit: &Permit<Pull>, digest: &Digest) -> Result<u64, Error> {
        self.storage
            .blobs
            .stat(permit.repo(), digest)
            .await?
            .ok_or_else(|| Error::BlobUnknown(permit.repo().clone(), *digest))
    }

    /// A blob, opened for reading.
    pub async fn blob(&self, permit: &Permit<Pull>, digest: &Digest) -> Result<Object, Error> {
        self.storage
            .blobs
            .open(permit.repo(), digest)
            .await?
            .ok_or_else(|| Error::BlobUnknown(permit.repo().clone(), *digest))
    }
}
