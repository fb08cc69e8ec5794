//! `slipway ls`, `tag`, `rm` and `inspect`: what a registry has.

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::Context as _;
use oci::{Manifest, Reference, Tag};
use serde_json::{Value, json};

use super::super::print;
use super::size::human;
use crate::cli::{Inspect, Ls, Output, Remote, Rm, TagImage};
use crate::client::images::{ImageName, Repository, Session, repositories};
use crate::client::{Server, last_server, remembered};

pub(in super::super) async fn ls(args: Ls) -> anyhow::Result<()> {
    let default = default_server(&args.remote)?;
    let registry = match &args.repository {
        None => Some(default.clone().context(
            "which registry? Name a repository there, give --server or SLIPWAY_SERVER, or log in: \
             slipway login SERVER",
        )?),
        Some(text) => alone(text).map(Server::parse).transpose()?,
    };
    let names = match (registry, &args.repository) {
        (None, Some(text)) => {
            let image = ImageName::parse(text, default.as_ref())?;
            anyhow::ensure!(
                image.tag().is_none() && image.digest().is_none(),
                "{text}: name a repository, without a tag; `slipway inspect` looks at images"
            );
            let repository = repository(&image, &args.remote, "pull").await?;
            let names = repository.tags().await?;
            if names.is_empty() {
                crate::note(&format!("{image}: no tag there"));
            }
            names
        }
        (Some(server), _) => {
            let names = repositories(&*session(&server, &args.remote).await?).await?;
            if names.is_empty() {
                crate::note(&format!("{server}: no repository there that you may see"));
            }
            names
        }
        (None, None) => Vec::new(),
    };
    match args.printing.form() {
        Output::Json => print::json(&names),
        Output::Text => names.iter().try_for_each(|name| print::line(name)),
    }
}

/// The registry that is named without a repository.
fn alone(text: &str) -> Option<&str> {
    let scheme = Server::scheme_of(text);
    let name = &text[scheme.len()..];
    let is_alone = match scheme {
        "" => !name.contains('/') && name.contains(['.', ':']),
        _ => !name.trim_end_matches('/').contains('/'),
    };
    is_alone.then_some(text)
}

pub(in super::super) async fn tag(args: TagImage) -> anyhow::Result<()> {
    let image = image(&args.image, &args.remote)?;
    let tag = Tag::parse(&args.tag).with_context(|| {
        format!(
            "{}: that is no tag; the repository stays the same, `slipway copy` goes to others",
            args.tag
        )
    })?;
    let repository = repository(&image, &args.remote, "pull,push").await?;
    let manifest = manifest(&repository, &image).await?;
    repository
        .put_manifest(&Reference::Tag(tag.clone()), &manifest)
        .await?;
    print::line(&format!(
        "{}:{tag} is {}",
        image.repository(),
        manifest.digest()
    ))
}

pub(in super::super) async fn rm(args: Rm) -> anyhow::Result<()> {
    let images = args
        .image
        .iter()
        .map(|text| image(text, &args.remote))
        .collect::<anyhow::Result<Vec<_>>>()?;
    for image in &images {
        anyhow::ensure!(
            image.tag().is_some() || image.digest().is_some(),
            "{image}: name a tag or a digest to remove"
        );
    }
    for image in &images {
        let repository = repository(image, &args.remote, "delete").await?;
        let is_gone = repository.delete(&image.reference()?).await?;
        anyhow::ensure!(is_gone, "{image}: there is none, or it is not yours to see");
        print::line(&format!("{image}: removed"))?;
    }
    Ok(())
}

pub(in super::super) async fn inspect(args: Inspect) -> anyhow::Result<()> {
    let image = image(&args.image, &args.remote)?;
    let repository = repository(&image, &args.remote, "pull").await?;
    let manifest = manifest(&repository, &image).await?;
    if args.raw {
        return print::whole(manifest.bytes());
    }
    let config = match manifest.config() {
        Some(config) if config.media_type.as_str().ends_with("json") => {
            let bytes = repository.small_blob(config).await?;
            serde_json::from_slice(&bytes).unwrap_or_default()
        }
        _ => Value::Null,
    };
    let said = facts(&image, &manifest, &config);
    match args.printing.form() {
        Output::Json => print::json(&said),
        Output::Text => print::whole(lines(&said).as_bytes()),
    }
}

fn facts(image: &ImageName, manifest: &Manifest, config: &Value) -> Value {
    let platforms = manifest.children().iter().map(
        |child| json!({ "digest": child.digest, "size": child.size, "platform": child.platform }),
    );
    let layers = manifest.layers().iter();
    let layers = layers.map(|layer| json!({ "digest": layer.digest, "size": layer.size }));
    let size: u64 = manifest.required_blobs().map(|blob| blob.size).sum();
    json!({
        "repository": image.repository().as_str(),
        "digest": manifest.digest(),
        "mediaType": manifest.media_type().as_str(),
        "artifactType": manifest.artifact_type(),
        "size": size,
        "os": config["os"],
        "architecture": config["architecture"],
        "created": config["created"],
        "labels": config["config"]["Labels"],
        "annotations": manifest.annotations(),
        "manifests": platforms.collect::<Vec<_>>(),
        "layers": layers.collect::<Vec<_>>(),
    })
}

/// One line a fact, those that are there.
fn lines(said: &Value) -> String {
    let mut lines = String::new();
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            // Writing to a String cannot fail.
            let _ = writeln!(lines, "{name:<12}{value}");
        }
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let size = |value: &Value| human(value.as_u64().unwrap_or_default());
    line("repository", &text(&said["repository"]));
    line("digest", &text(&said["digest"]));
    line("type", &text(&said["mediaType"]));
    line("created", &text(&said["created"]));
    if said["os"].is_string() {
        let platform = format!("{}/{}", text(&said["os"]), text(&said["architecture"]));
        line("platform", &platform);
    }
    let list = |name: &str| said[name].as_array().cloned().unwrap_or_default();
    for child in list("manifests") {
        let platform = &child["platform"];
        let platform = format!(
            "{}/{}",
            text(&platform["os"]),
            text(&platform["architecture"])
        );
        line("image", &format!("{} {platform}", text(&child["digest"])));
    }
    for layer in list("layers") {
        let digest = text(&layer["digest"]);
        line("layer", &format!("{digest} {}", size(&layer["size"])));
    }
    for kind in ["labels", "annotations"] {
        for (key, value) in said[kind].as_object().into_iter().flatten() {
            line(
                kind.trim_end_matches('s'),
                &format!("{key}={}", text(value)),
            );
        }
    }
    if list("manifests").is_empty() {
        line("size", &size(&said["size"]));
    }
    lines
}

async fn manifest(repository: &Repository, image: &ImageName) -> anyhow::Result<Manifest> {
    let found = repository.manifest(&image.reference()?).await?;
    found.with_context(|| format!("{image}: there is none, or it is not yours to see"))
}

fn image(text: &str, remote: &Remote) -> anyhow::Result<ImageName> {
    ImageName::parse(text, default_server(remote)?.as_ref())
}

async fn repository(
    image: &ImageName,
    remote: &Remote,
    actions: &str,
) -> anyhow::Result<Repository> {
    let session = session(image.server(), remote).await?;
    Ok(Repository::new(
        session,
        image.repository().clone(),
        actions,
    ))
}

async fn session(server: &Server, remote: &Remote) -> anyhow::Result<Arc<Session>> {
    let transport = remembered(remote.transport.clone(), server)?;
    let opened = Session::open(server, &remote.auth_file, &transport).await?;
    Ok(Arc::new(opened))
}

/// The registry of names that say none: the one that was named apart, or of the last login.
pub(in super::super) fn default_server(remote: &Remote) -> anyhow::Result<Option<Server>> {
    match &remote.server {
        Some(text) => Server::parse(text).map(Some),
        None => last_server(),
    }
}
