//! Making, changing and removing builds.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answers::Build;
use super::set::lay_over;
use super::{Place, connect, spec};
use crate::cli::{CreateBuild, Namespace, Output, Printing, Remote};
use crate::client::Client;
use crate::commands::print;

/// More than any definition.
const MAX_FILE: u64 = 1 << 20;

/// A build in a file: what `slipway build show --json` prints, of which nothing but this counts.
#[derive(Deserialize)]
struct Definition {
    metadata: Metadata,
    /// If it says one, the build is changed only if it is of that.
    revision: Option<u64>,
    spec: Value,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    namespace: Option<String>,
}

pub(super) async fn create(args: CreateBuild) -> anyhow::Result<()> {
    let json = args.json;
    let (namespace, wanted) = if let Some(file) = &args.file {
        let definition = read(file)?;
        let namespace = place(&definition, args.namespace.namespace.as_deref(), file)?;
        let wanted = json!({"name": definition.metadata.name, "spec": definition.spec});
        (namespace, wanted)
    } else {
        let output = args.output.context("--output is needed")?;
        let builder = args.builder.context("--builder is needed")?;
        let source = spec::git(args.git).or_else(|| args.source.map(spec::image));
        let source = source.context(
            "what is to be built? Name a repository with --git, or a source in the registry with --source",
        )?;
        let mut spec = json!(spec::spec(source, builder, &output, args.spec)?);
        lay_over(&mut spec, spec::kept(args.kept));
        let namespace = match args.namespace.namespace {
            Some(namespace) => namespace,
            None => super::start::namespace_of(&output)?,
        };
        (namespace, json!({"name": args.name, "spec": spec}))
    };
    let client = connect(args.remote).await?;
    let path = Place(Some(&namespace)).path("builds");
    let build: Build = client.post(&path, &wanted).await?;
    said(&client, &build, "created", json)
}

pub(super) async fn apply(
    files: &[impl AsRef<Path>],
    namespace: Option<String>,
    remote: Remote,
    printing: &Printing,
) -> anyhow::Result<()> {
    let definitions = files.iter().map(|file| {
        let definition = read(file.as_ref())?;
        let namespace = place(&definition, namespace.as_deref(), file.as_ref())?;
        anyhow::Ok((namespace, definition))
    });
    // None is applied unless all can be read.
    let definitions = definitions.collect::<anyhow::Result<Vec<_>>>()?;
    let client = connect(remote).await?;
    let json = printing.form() == Output::Json;
    for (namespace, definition) in definitions {
        let (build, what) = applied(&client, &namespace, definition).await?;
        said(&client, &build, what, json)?;
    }
    Ok(())
}

async fn applied(
    client: &Client,
    namespace: &str,
    definition: Definition,
) -> anyhow::Result<(Build, &'static str)> {
    let place = Place(Some(namespace));
    let name = &definition.metadata.name;
    let path = place.path(&format!("builds/{name}"));
    let known: Option<Build> = client.find(&path).await?;
    match known {
        None => {
            let wanted = json!({"name": name, "spec": definition.spec});
            let made = client.post(&place.path("builds"), &wanted).await?;
            Ok((made, "created"))
        }
        Some(known) => {
            let revision = definition.revision.or(Some(known.revision));
            let wanted = json!({ "spec": definition.spec });
            let changed: Build = client.put(&path, &wanted, revision).await?;
            let is_same = changed.spec == known.spec;
            Ok((changed, if is_same { "unchanged" } else { "changed" }))
        }
    }
}

pub(super) async fn delete(names: &[String], of: &Namespace, remote: Remote) -> anyhow::Result<()> {
    let client = connect(remote).await?;
    let place = Place(Some(&of.namespace));
    for name in names {
        // Not looked at before: what the server cannot read can be removed all the same.
        let of_build = place.path(&format!("builds/{name}"));
        let is_build = client.remove(&of_build).await?;
        let of_run = place.path(&format!("buildruns/{name}"));
        anyhow::ensure!(
            is_build || client.remove(&of_run).await?,
            "there is no build or run {name} in namespace {}",
            of.namespace
        );
        let kind = if is_build { "build" } else { "run" };
        print::line(&format!("{kind} {name} is removed"))?;
    }
    Ok(())
}

fn read(file: &Path) -> anyhow::Result<Definition> {
    let place = || file.display().to_string();
    let mut text = String::new();
    if file == Path::new("-") {
        let stdin = std::io::stdin().take(MAX_FILE);
        { stdin }
            .read_to_string(&mut text)
            .context("standard input")?;
    } else {
        let opened = std::fs::File::open(file).with_context(place)?;
        opened
            .take(MAX_FILE)
            .read_to_string(&mut text)
            .with_context(place)?;
    }
    let definition: Definition =
        serde_saphyr::from_str(&text).map_err(|error| anyhow::anyhow!("{}: {error}", place()))?;
    let name = &definition.metadata.name;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    anyhow::ensure!(
        !name.is_empty() && name.bytes().all(is_plain),
        "{}: metadata.name: lower-case letters, digits and -",
        place()
    );
    Ok(definition)
}

/// The namespace of a definition: its own, which must not be another than what was asked for.
fn place(definition: &Definition, asked: Option<&str>, file: &Path) -> anyhow::Result<String> {
    let named = definition.metadata.namespace.as_deref();
    match (named, asked) {
        (Some(named), Some(asked)) if named != asked => anyhow::bail!(
            "{}: metadata.namespace is {named}, and -n says {asked}",
            file.display()
        ),
        (Some(one), _) | (None, Some(one)) => Ok(one.to_owned()),
        (None, None) => anyhow::bail!(
            "{}: in which namespace? Write metadata.namespace, or give it with -n",
            file.display()
        ),
    }
}

/// Says what became of a build, and where its webhooks are.
pub(super) fn said(client: &Client, build: &Build, what: &str, json: bool) -> anyhow::Result<()> {
    if json {
        return print::json(build);
    }
    let (namespace, name) = (&build.metadata.namespace, &build.metadata.name);
    print::line(&format!("build {name} in namespace {namespace} is {what}"))?;
    for webhook in build.webhooks(client)? {
        print::line(&format!("webhook {webhook}"))?;
    }
    Ok(())
}
