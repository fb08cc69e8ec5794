//! What many clauses do on their way.

use http::Method;
use oci::Digest;

use crate::clause::{Context, Step, demand};
use crate::client::{Answer, Ask};
use crate::content::{Blob, Manifest};

pub(super) fn get(path: impl Into<String>) -> Ask {
    Ask::new(Method::GET, path)
}

pub(super) fn head(path: impl Into<String>) -> Ask {
    Ask::new(Method::HEAD, path)
}

pub(super) fn post(path: impl Into<String>) -> Ask {
    Ask::new(Method::POST, path)
}

pub(super) fn put(path: impl Into<String>) -> Ask {
    Ask::new(Method::PUT, path)
}

pub(super) fn patch(path: impl Into<String>) -> Ask {
    Ask::new(Method::PATCH, path).header("content-type", "application/octet-stream")
}

pub(super) fn delete(path: impl Into<String>) -> Ask {
    Ask::new(Method::DELETE, path)
}

/// `location` with the digest added, whatever query it has already.
pub(super) fn with_digest(location: &str, digest: &Digest) -> String {
    let join = if location.contains('?') { '&' } else { '?' };
    format!("{location}{join}digest={digest}")
}

/// Opens an upload session.
pub(super) async fn start(context: &Context, repo: &str) -> Step<String> {
    let path = format!("/v2/{repo}/blobs/uploads/");
    let answer = context.client.send(post(path)).await?.expect(&[202])?;
    answer.location()
}

/// Pushes a blob by POST and PUT, which every registry takes.
pub(super) async fn push(context: &Context, repo: &str, blob: &Blob) -> Step {
    let location = start(context, repo).await?;
    let finish = put(with_digest(&location, &blob.digest))
        .header("content-type", "application/octet-stream")
        .body(blob.bytes.clone());
    let answer = context.client.send(finish).await?.expect(&[201])?;
    answer.location()?;
    Ok(())
}

/// The blob is in the repository, as it is.
pub(super) async fn holds(context: &Context, repo: &str, blob: &Blob) -> Step {
    let path = format!("/v2/{repo}/blobs/{}", blob.digest);
    let size = blob.bytes.len().to_string();
    let answer = context.client.send(head(&*path)).await?.expect(&[200])?;
    answer.expect_header("content-length", &size)?;
    let answer = context.client.send(get(path)).await?.expect(&[200])?;
    answer.expect_header("docker-content-digest", &blob.digest.to_string())?;
    demand(answer.body == blob.bytes, || {
        format!("{}: other bytes than were pushed", answer.asked)
    })
}

/// The blob is not in the repository.
pub(super) async fn lacks(context: &Context, repo: &str, digest: &Digest) -> Step {
    let path = format!("/v2/{repo}/blobs/{digest}");
    context.client.send(head(&*path)).await?.expect(&[404])?;
    context.client.send(get(path)).await?.expect(&[404])?;
    Ok(())
}

/// Pushes a manifest under a tag or digest.
pub(super) async fn put_manifest(
    context: &Context,
    repo: &str,
    reference: &str,
    manifest: &Manifest,
) -> Step<Answer> {
    let ask = put(format!("/v2/{repo}/manifests/{reference}"))
        .header("content-type", &*manifest.media_type)
        .body(manifest.blob.bytes.clone());
    context.client.send(ask).await
}

/// Pushes an image of one layer under `tag`.
pub(super) async fn push_image(context: &Context, repo: &str, tag: &str) -> Step<Manifest> {
    let Some(set) = crate::content::sets()
        .into_iter()
        .find(|set| set.name == "image")
    else {
        return Err(crate::clause::Stop::Error(
            "no data set is called image".into(),
        ));
    };
    for blob in &set.blobs {
        push(context, repo, blob).await?;
    }
    let manifest = set.manifests[0].clone();
    put_manifest(context, repo, tag, &manifest)
        .await?
        .expect(&[201])?;
    Ok(manifest)
}
