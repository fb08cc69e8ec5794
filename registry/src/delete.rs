//! Taking content out of a repository: roots before leaves.

use auth::{Delete, Permit};
use oci::{Digest, Reference};
use storage::Unlink;
use storage::audit::Cause;

use crate::{Error, Registry};

impl Registry {
    /// A tag: only the name goes, the manifest stays. A digest: the manifest and every tag that
    /// points to it, in one transaction.
    pub async fn delete_manifest(
        &self,
        permit: &Permit<Delete>,
        reference: &Reference,
        cause: &Cause,
    ) -> Result<(), Error> {
        let catalog = &self.storage.catalog;
        let found = match reference {
            Reference::Tag(tag) => {
                catalog
                    .delete_tag(permit.repo(), tag, cause.clone())
                    .await?
            }
            Reference::Digest(digest) => {
                catalog
                    .delete_manifest(permit.repo(), digest, cause.clone())
                    .await?
            }
        };
        if found {
            Ok(())
        } else {
            let repo = permit.repo().clone();
            Err(match catalog.tags(&repo, None, 1).await? {
                None => Error::NameUnknown(repo),
                Some(_) => Error::ManifestUnknown(repo, reference.clone()),
            })
        }
    }

    /// Takes a blob out of this repository; other repositories keep it. Refused while a manifest
    /// of this repository needs it.
    pub async fn delete_blob(
        &self,
        permit: &Permit<Delete>,
        digest: &Digest,
        cause: &Cause,
    ) -> Result<(), Error> {
        let blobs = &self.storage.blobs;
        match blobs.unlink(permit.repo(), digest, cause.clone()).await? {
            Unlink::Done => Ok(()),
            Unlink::Unknown => Err(Error::BlobUnknown(permit.repo().clone(), *digest)),
            Unlink::Referenced => Err(Error::BlobInUse(permit.repo().clone(), *digest)),
        }
    }
}
