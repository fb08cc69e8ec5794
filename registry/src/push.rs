//! Writing manifests and tags.

use auth::{Permit, Push, Retag};
use oci::{Manifest, Tag};
use storage::MoveTags;
use storage::audit::Cause;

use crate::{Error, Registry};

impl Registry {
    /// Stores `manifest` and points `tags` at it, all in one step.
    ///
    /// Where the configuration asks for whole images, config and distributable layers must be in the
    /// repository already: leaves before roots. Children of an index and the subject may always come
    /// later. Without `retag` a tag that points to
    /// other content stays where it is and the whole push is refused, decided by the transaction
    /// itself, so two racing pushes cannot both create the tag.
    pub async fn put_manifest(
        &self,
        permit: &Permit<Push>,
        retag: Option<&Permit<Retag>>,
        manifest: &Manifest,
        tags: &[Tag],
        cause: &Cause,
    ) -> Result<(), Error> {
        let moves = match retag {
            Some(_) => MoveTags::Allowed,
            None => MoveTags::Refused,
        };
        self.storage
            .catalog
            .put(permit.repo(), manifest, tags, moves, cause.clone())
            .await?;
        Ok(())
    }
}
