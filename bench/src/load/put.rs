//! Putting manifests, for setting the stage.

use std::sync::Arc;

use anyhow::{Result, ensure};

use super::{Connection, Done, Payload, Work};
use crate::material::Manifest;

/// Puts one manifest a turn, made by `make` from the turn's number.
pub(crate) struct PutManifests<F> {
    /// The repository.
    pub(crate) repo: String,
    /// The reference and the manifest of a turn.
    pub(crate) make: F,
}

impl<F> Work for PutManifests<F>
where
    F: Fn(u64) -> (String, Arc<Manifest>) + Send + Sync + 'static,
{
    async fn once(&self, connection: &mut Connection, turn: u64) -> Result<Done> {
        let (reference, manifest) = (self.make)(turn);
        put_manifest(connection, &self.repo, &reference, &manifest).await?;
        Ok(Done {
            sent: manifest.bytes.len() as u64,
            tail: None,
        })
    }
}

/// Puts one manifest by tag or digest.
///
/// # Errors
/// Any reply but 201.
pub(super) async fn put_manifest(
    connection: &mut Connection,
    repo: &str,
    reference: &str,
    manifest: &Manifest,
) -> Result<()> {
    let head = connection
        .target
        .head("PUT", &format!("/v2/{repo}/manifests/{reference}"));
    let head = format!("{head}Content-Type: {}\r\n", manifest.media_type);
    let reply = connection
        .exchange(head.as_bytes(), &Payload::Bytes(&manifest.bytes))
        .await?;
    ensure!(reply.status == 201, "PUT manifest: status {}", reply.status);
    Ok(())
}
