//! Making, changing and removing builds.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use builder::records::BuildSpec;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::answers::{Build, clean};
use super::set::lay_over;
use super::{Place, connect, spec, start};
use crate::cli::{CreateBuild, Namespace, Output, Printing, Remote};
use crate::client::Client;
use crate::commands::print;
use crate::config;

/// More than any definition.
const MAX_FILE: u64 = 1 << 20;

/// A build in a file: what `slipway build show --json` prints. What is [`Shown`] there may stand in it and counts for nothing; another key
/// stands where it was not meant to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Definition {
    metadata: Metadata,
    /// If it says one, the build is changed only if it is of that.
    revision: Option<u64>,
    spec: BuildSpec,
    #[schemars(skip)]
    #[serde(default, rename = "owner")]
    _owner: Shown,
    #[schemars(skip)]
    #[serde(default, rename = "ownerToken")]
    _owner_token: Shown,
    #[schemars(skip)]
    #[serde(default, rename = "status")]
    _status: Shown,
    #[schemars(skip)]
    #[serde(default, rename = "missingSecrets")]
    _missing_secrets: Shown,
    #[schemars(skip)]
    #[serde(default, rename = "missingBuilder")]
    _missing_builder: Shown,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Metadata {
    name: String,
    namespace: Option<String>,
    #[schemars(skip)]
    #[serde(default, rename = "created")]
    _created: Shown,
}

/// What a server says of a build, and nobody else does.
#[derive(Debug, Default, Deserialize)]
struct Shown(IgnoredAny);

pub(super) async fn create(args: CreateBuild) -> anyhow::Result<()> {
    let json = args.json;
    let client = connect(args.remote).await?;
    let all = if let Some(file) = &args.file {
        let named = |definition: Definition| {
            let namespace = place(&definition, args.namespace.namespace.as_deref(), file)?;
            let wanted = json!({"name": definition.metadata.name, "spec": definition.spec});
            anyhow::Ok((namespace, wanted))
        };
        let all = read(file)?.into_iter().map(named);
        all.collect::<anyhow::Result<Vec<_>>>()?
    } else {
        let output = args.output.context("--output is needed")?;
        let builder = args.builder.context("--builder is needed")?;
        let source = spec::git(args.git).or_else(|| args.source.map(spec::image));
        let source = source.context(
            "what is to be built? Name a repository with --git, or a source in the registry with --source",
        )?;
        let namespace = match args.namespace.namespace {
            Some(namespace) => namespace,
            None => start::namespace_of(&output)?,
        };
        let output = start::placed(&output, &namespace, client.server());
        start::within(&output, &namespace)?;
        let mut spec = json!(spec::spec(source, builder, &output, args.spec)?);
        start::local_images(&mut spec, client.server());
        lay_over(&mut spec, spec::kept(args.kept));
        vec![(namespace, json!({"name": args.name, "spec": spec}))]
    };
    for (namespace, wanted) in all {
        let path = Place(Some(&namespace)).path("builds");
        let build: Build = client.post(&path, &wanted).await?;
        said(&client, &build, "created", json)?;
    }
    Ok(())
}

pub(super) async fn apply(
    files: &[impl AsRef<Path>],
    namespace: Option<String>,
    remote: Remote,
    printing: &Printing,
) -> anyhow::Result<()> {
    // None is applied unless all can be read.
    let mut definitions = Vec::new();
    for file in files {
        for definition in read(file.as_ref())? {
            let namespace = place(&definition, namespace.as_deref(), file.as_ref())?;
            definitions.push((namespace, definition));
        }
    }
    let client = connect(remote).await?;
    let json = printing.form() == Output::Json;
    for (namespace, definition) in definitions {
        let (build, what) = applied(&client, &namespace, definition).await?;
        said(&client, &build, &what, json)?;
    }
    Ok(())
}

async fn applied(
    client: &Client,
    namespace: &str,
    definition: Definition,
) -> anyhow::Result<(Build, String)> {
    let place = Place(Some(namespace));
    let name = &definition.metadata.name;
    let path = place.path(&format!("builds/{name}"));
    let known: Option<Build> = client.find(&path).await?;
    match known {
        None => {
            let wanted = json!({"name": name, "spec": definition.spec});
            let made = client.post(&place.path("builds"), &wanted).await?;
            Ok((made, "created".to_owned()))
        }
        Some(known) => {
            let revision = definition.revision.or(Some(known.revision));
            let wanted = json!({ "spec": definition.spec });
            let changed: Build = client.put(&path, &wanted, revision).await?;
            let what = changed.what_since(&known);
            Ok((changed, what))
        }
    }
}

/// Without names: all builds, then the runs of none; nothing, if a run has not ended.
pub(super) async fn delete(
    names: Option<&[String]>,
    of: &Namespace,
    remote: Remote,
) -> anyhow::Result<()> {
    let client = connect(remote).await?;
    let place = Place(Some(&of.namespace));
    let Some(names) = names else {
        refuse_open(&client, place).await?;
        for of in ["builds", "buildruns"] {
            let names = place.names(&client, of).await?;
            remove(&client, place, &names).await?;
        }
        return Ok(());
    };
    remove(&client, place, names).await
}

/// Before anything is removed: the server refuses one build after the other, and what was removed by then is gone.
async fn refuse_open(client: &Client, place: Place<'_>) -> anyhow::Result<()> {
    let open = start::open_runs(client, place, "").await?;
    let namespace = place.0.unwrap_or_default();
    anyhow::ensure!(
        open.is_empty(),
        "nothing is removed: runs of namespace {namespace} have not ended; cancel them first: \
         slipway build cancel {} -n {namespace}",
        open.join(" ")
    );
    Ok(())
}

async fn remove(client: &Client, place: Place<'_>, names: &[String]) -> anyhow::Result<()> {
    for name in names {
        // Not looked at before: what the server cannot read can be removed all the same.
        let of_build = place.path(&format!("builds/{name}"));
        let is_build = client.remove(&of_build).await?;
        let of_run = place.path(&format!("buildruns/{name}"));
        anyhow::ensure!(
            is_build || client.remove(&of_run).await?,
            "there is no build or run {name} in namespace {}",
            place.0.unwrap_or_default()
        );
        let kind = if is_build { "build" } else { "run" };
        print::line(&format!("{kind} {name} is removed"))?;
    }
    Ok(())
}

/// The builds of a file, which has one document for each.
fn read(file: &Path) -> anyhow::Result<Vec<Definition>> {
    let text = text_of(file, MAX_FILE)?;
    let place = file.display().to_string();
    let mut found = Vec::new();
    for document in documents(&text) {
        if let Some(kind) = foreign(&document) {
            anyhow::bail!(
                "{place}: a {kind} is no build of Slipway's: slipway build convert writes it as one, for slipway build apply"
            );
        }
        let read = config::read::<Definition>(&document, "build");
        found.extend(read.map_err(|error| anyhow::anyhow!("{place}:{error}"))?);
    }
    anyhow::ensure!(!found.is_empty(), "{place}: no build is in it");
    for definition in &found {
        let name = &definition.metadata.name;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        anyhow::ensure!(
            !name.is_empty() && name.bytes().all(is_plain),
            "{place}: metadata.name: lower-case letters, digits and -"
        );
    }
    Ok(found)
}

/// What a document is that `slipway build convert` reads.
fn foreign(document: &str) -> Option<String> {
    let read = config::read::<Value>(document, "document").ok()??;
    let text = |key: &str| read[key].as_str().unwrap_or_default();
    let (version, kind) = (text("apiVersion"), text("kind"));
    let is_foreign = kind == "BuildConfig"
        || ["build.openshift.io/", "shipwright.io/"]
            .iter()
            .any(|group| version.starts_with(group));
    is_foreign.then(|| clean(kind))
}

/// What a file says, or standard input.
pub(super) fn text_of(file: &Path, most: u64) -> anyhow::Result<String> {
    let place = || file.display().to_string();
    let mut text = String::new();
    let read = if file == Path::new("-") {
        let read = std::io::stdin().take(most + 1).read_to_string(&mut text);
        read.context("standard input")?
    } else {
        let opened = std::fs::File::open(file).with_context(place)?;
        let read = opened.take(most + 1).read_to_string(&mut text);
        read.with_context(place)?
    };
    anyhow::ensure!(
        u64::try_from(read).is_ok_and(|read| read <= most),
        "{}: more than {} MiB",
        place(),
        most >> 20
    );
    Ok(text)
}

/// The documents of a stream of YAML (YAML 1.2.2, 9.1.2), each on the lines where it is: those before it are empty. `---` at the
/// beginning of a line is never anything else.
pub(super) fn documents(text: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    for (number, line) in text.lines().enumerate() {
        let mut line = line.to_owned();
        let rest = line.strip_prefix("---");
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t'])) {
            line.replace_range(..3, "   ");
            all.push("\n".repeat(number));
        }
        if let Some(document) = all.last_mut() {
            document.push_str(&line);
            document.push('\n');
        }
    }
    all
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
    for lack in build.lacks() {
        eprintln!("note: {lack}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::read;

    const SPEC: &str =
        "spec:\n  source: {kind: git, url: u}\n  builder: b\n  output: {image: t/a}\n";

    fn refused(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("y.yaml");
        fs::write(&file, text).unwrap();
        let error = format!("{:#}", read(&file).unwrap_err());
        let place = format!("{}/", folder.path().display());
        error.replace(&place, "")
    }

    #[test]
    fn a_key_that_is_of_no_build_is_named_where_it_stands() {
        for (more, said) in [
            (
                "triggers: {schedule: '0 3 * * *'}\n",
                "y.yaml:6:1: triggers: there is no such key here: did you mean spec.triggers?",
            ),
            (
                "policy: parallel\n",
                "y.yaml:6:1: policy: there is no such key here: did you mean spec.policy?",
            ),
            (
                "spce: {}\n",
                "y.yaml:6:1: spce: there is no such key: did you mean spec?",
            ),
            (
                "apiVersion: v1\n",
                "y.yaml:6:1: apiVersion: there is no such key; there are metadata, revision, spec",
            ),
        ] {
            let text = format!("metadata: {{name: a}}\n{SPEC}{more}");
            assert_eq!(refused(&text), said);
        }
        for (more, said) in [
            (
                "lables: {a: b}",
                "y.yaml:1:21: metadata.lables: there is no such key; there are name, namespace",
            ),
            (
                "labels: {a: b}",
                "y.yaml:1:21: metadata.labels: there is no such key here: did you mean spec.output.labels?",
            ),
        ] {
            let text = format!("metadata: {{name: a, {more}}}\n{SPEC}");
            assert_eq!(refused(&text), said);
        }
    }

    #[test]
    fn a_key_of_a_source_is_named_where_it_stands() {
        let text = |source: &str| {
            format!(
                "metadata: {{name: a}}\nspec:\n  builder: b\n  output: {{image: t/a}}\n{source}\n"
            )
        };
        for (source, said) in [
            (
                "  source:\n    kind: git\n    url: u\n    contextdir: x",
                "y.yaml:8:5: spec.source.contextdir: there is no such key: did you mean spec.source.contextDir?",
            ),
            (
                "  source:\n    uri: u\n    kind: git",
                "y.yaml:6:5: spec.source.uri: there is no such key: did you mean spec.source.url?",
            ),
            (
                "  source:\n    reference: r\n    kind: git\n    url: u",
                "y.yaml:6:5: spec.source.reference: there is no such key; there are contextDir, kind, lfs, revision, secret, submodules, url",
            ),
            (
                "  source: {kind: image, reference: r, url: u}",
                "y.yaml:5:39: spec.source.url: there is no such key; there are kind, reference",
            ),
            (
                "  source: {kind: git}",
                "spec.source.url: is missing: add a text",
            ),
            (
                "  source: {kind: svn, url: u}",
                "y.yaml:5:18: spec.source.kind: \"svn\" is not right: write git or image",
            ),
            (
                "  source: {kind: git, url: u, lfs: often}",
                "y.yaml:5:36: spec.source.lfs: \"often\" is not right: write true or false",
            ),
            (
                "  source: u",
                "spec.source: \"u\" is not right: write keys below it: kind: git with url, or kind: image with reference",
            ),
            (
                "",
                "spec.source: is missing: add keys below it: kind: git with url, or kind: image with reference",
            ),
        ] {
            let error = refused(&text(source));
            assert!(
                error.starts_with("y.yaml:") && error.ends_with(said),
                "{error}"
            );
        }
    }

    /// What a server prints, by the table of docs/build-spec.md, which a test of the API holds against it.
    #[test]
    fn what_is_shown_of_a_build_may_stand_in_a_file() {
        let text = include_str!("../../../../docs/build-spec.md");
        let (_, table) = text.split_once("## What is known of a build\n").unwrap();
        let (table, _) = table.split_once("\n## ").unwrap();
        let rows = table.lines().filter_map(|row| row.strip_prefix("| `"));
        let keys: Vec<_> = rows.map(|row| row.split_once('`').unwrap().0).collect();
        assert!(keys.contains(&"missingBuilder"), "{keys:?}");
        let mut shown = json!({"spec": {
            "source": {"kind": "git", "url": "u"}, "builder": "b", "output": {"image": "t/a"},
        }});
        for key in keys {
            let pointer = format!("/{}", key.replace('.', "/"));
            let value = match key {
                "spec" => continue,
                "revision" => json!(1),
                _ => json!("a"),
            };
            let (above, name) = pointer.rsplit_once('/').unwrap();
            if !above.is_empty() && shown.pointer(above).is_none() {
                let (over, name) = above.rsplit_once('/').unwrap();
                shown.pointer_mut(over).unwrap()[name] = json!({});
            }
            shown.pointer_mut(above).unwrap()[name] = value;
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.json");
        fs::write(&file, shown.to_string()).unwrap();
        assert_eq!(read(&file).unwrap().len(), 1);
    }

    #[test]
    fn a_file_has_a_build_in_each_document() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        let build = |name: &str| {
            format!(
                "metadata: {{name: {name}}}\nspec:\n  source: {{kind: git, url: u}}\n  builder: b\n  output: {{image: t/a}}\n"
            )
        };
        let text = format!("# two\n---\n{}--- # next\n{}---\n", build("a"), build("b"));
        fs::write(&file, text).unwrap();
        let names = read(&file).unwrap().into_iter();
        let names: Vec<_> = names.map(|found| found.metadata.name).collect();
        assert_eq!(names, ["a", "b"]);

        let spec = |more: &str| {
            format!(
                "---\nmetadata: {{name: a}}\nspec:\n  builder: b\n  output: {{image: t/a}}\n{more}"
            )
        };
        let source = "  source: {kind: git, url: u}\n";
        for (more, said) in [
            (
                format!("{source}  limits: {{memoryBytes: 2Gx}}\n"),
                r#":7:12: spec.limits.memoryBytes: "2Gx" is not right: write a number of bytes, or one with its unit, such as 512Mi or 2Gi"#,
            ),
            (
                format!("{source}  test: npm test\n"),
                r#":7:9: spec.test: "npm test" is not right: write keys below it, of command"#,
            ),
            (
                format!("{source}  env: {{A: b}}\n"),
                "spec.env: {\"A\":\"b\"} is not right: write a list",
            ),
            (
                format!("{source}  incrementel: true\n"),
                "spec.incrementel: there is no such key: did you mean spec.incremental?",
            ),
            (
                "  source: {url: u}\n".to_owned(),
                "spec.source.kind: is missing: add git or image",
            ),
            ("  source: [\n".to_owned(), "this is no YAML"),
        ] {
            fs::write(&file, spec(&more)).unwrap();
            let error = format!("{:#}", read(&file).unwrap_err());
            let place = file.display().to_string();
            assert!(error.starts_with(&format!("{place}:")), "{error}");
            assert!(error.contains(said), "{error}");
        }
        fs::write(
            &file,
            spec(&format!("{source}  limits: {{memoryBytes: 2Gi}}\n")),
        )
        .unwrap();
        let limits = read(&file).unwrap()[0].spec.limits;
        assert_eq!(limits.memory_bytes, Some(2 << 30));
        fs::write(&file, "# nothing\n").unwrap();
        let error = read(&file).unwrap_err().to_string();
        assert!(error.ends_with("no build is in it"), "{error}");
    }
}
