//! Pushing blobs, in the ways in which clients do.

use anyhow::{Context as _, Result, ensure};

use super::reply::path_of;
use super::{Connection, Done, Payload, Reply, Work};
use crate::material::Blob;

/// How a client sends a blob.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    /// POST, PATCH with the whole stream in chunks, PUT: podman, docker, skopeo, crane.
    Stream,
    /// POST, PUT with the whole body: oras, regctl, containerd.
    Put,
}

/// Pushes a new blob each turn, all of one size.
#[derive(Debug)]
pub(crate) struct PushBlobs {
    /// The repository.
    pub(crate) repo: String,
    /// What is varied to make a new blob each turn.
    pub(crate) pattern: Blob,
    /// Makes the blobs of this run differ from those of another.
    pub(crate) salt: u64,
    /// How.
    pub(crate) form: Form,
}

impl Work for PushBlobs {
    async fn once(&self, connection: &mut Connection, turn: u64) -> Result<Done> {
        let blob = self.pattern.vary(self.salt, turn);
        push_blob(connection, &self.repo, &blob, self.form).await
    }
}

/// Pushes one blob.
///
/// # Errors
/// Any reply but 202, 202, 201.
pub(crate) async fn push_blob(
    connection: &mut Connection,
    repo: &str,
    blob: &Blob,
    form: Form,
) -> Result<Done> {
    let target = connection.target.clone();
    let post = target.head("POST", &format!("/v2/{repo}/blobs/uploads/"));
    let reply = connection
        .exchange(post.as_bytes(), &Payload::Nothing)
        .await?;
    let mut place = location(&reply, 202).context("POST")?;
    let mut sent = None;
    if form == Form::Stream {
        let patch = target.head("PATCH", &place) + "Content-Type: application/octet-stream\r\n";
        let reply = connection
            .exchange(patch.as_bytes(), &Payload::Chunked(blob))
            .await?;
        place = location(&reply, 202).context("PATCH")?;
        sent = connection.body_sent();
    }
    let question = if place.contains('?') { '&' } else { '?' };
    let put = target.head("PUT", &format!("{place}{question}digest={}", blob.digest()));
    let put = put + "Content-Type: application/octet-stream\r\n";
    let payload = match form {
        Form::Stream => Payload::Nothing,
        Form::Put => Payload::Sized(blob),
    };
    let reply = connection.exchange(put.as_bytes(), &payload).await?;
    ensure!(reply.status == 201, "PUT: status {}", reply.status);
    let sent = sent.or(connection.body_sent());
    Ok(Done {
        sent: blob.size(),
        tail: sent.map(|moment| moment.elapsed()),
    })
}

fn location(reply: &Reply, expected: u16) -> Result<String> {
    ensure!(reply.status == expected, "status {}", reply.status);
    let location = reply.location.as_deref().context("no Location")?;
    Ok(path_of(location).to_owned())
}
