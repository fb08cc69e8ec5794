//! Pushing whole small images, each different, all into one repository.

use anyhow::{Context as _, Result};

use super::put::put_manifest;
use super::{Connection, Done, Form, Work, push_blob};
use crate::material::{Blob, Manifest};

/// Pushes a new image each turn: two blobs (config and one layer), then a manifest under a new tag; five requests.
#[derive(Debug)]
pub(crate) struct PushImages {
    /// The repository.
    pub(crate) repo: String,
    /// Varied to make a config each turn.
    pub(crate) config: Blob,
    /// Varied to make a layer each turn.
    pub(crate) layer: Blob,
    /// Makes the images of this run differ from those of another.
    pub(crate) salt: u64,
}

impl Work for PushImages {
    async fn once(&self, connection: &mut Connection, turn: u64) -> Result<Done> {
        let config = self.config.vary(self.salt, turn);
        let layer = self.layer.vary(self.salt, turn);
        for blob in [&config, &layer] {
            push_blob(connection, &self.repo, blob, Form::Put)
                .await
                .context("blob")?;
        }
        let manifest = Manifest::image(&config, &[&layer]);
        let tag = format!("t{:x}-{turn}", self.salt);
        put_manifest(connection, &self.repo, &tag, &manifest).await?;
        Ok(Done {
            sent: config.size() + layer.size() + manifest.bytes.len() as u64,
            tail: None,
        })
    }
}
