//! `slipway build set`: some of a build otherwise, the rest as it is.
//!
//! It works on the spec as the server says it, so that what this program does not know stays.

use anyhow::Context as _;
use builder::records::SourceSpec;
use serde_json::{Map, Value, json};

use super::answers::Build;
use super::definitions::said;
use super::start::{local, local_images, placed};
use super::{Place, connect, spec};
use crate::cli::{GitArgs, SetBuild, SpecArgs};
use crate::client::Server;

/// Where an option's value is in a spec.
const FIELDS: [(&str, &str); 43] = [
    ("revision", "/source/revision"),
    ("context-dir", "/source/contextDir"),
    ("git-secret", "/source/secret"),
    ("submodules", "/source/submodules"),
    ("lfs", "/source/lfs"),
    ("env", "/env"),
    ("build-env", "/env"),
    ("env-file", "/env"),
    ("secret", "/secrets"),
    ("inject", "/injections"),
    ("inject-keep", "/injections"),
    ("ignore", "/ignore"),
    ("incremental", "/incremental"),
    ("runtime-image", "/runtime"),
    ("runtime-artifact", "/runtime/artifacts"),
    ("assemble-runtime-user", "/runtime/assembleUser"),
    ("clean", "/clean"),
    ("no-cache", "/caches"),
    ("network", "/network"),
    ("memory", "/limits/memoryBytes"),
    ("cpus", "/limits/cpuMillis"),
    ("disk", "/limits/diskBytes"),
    ("pids", "/limits/pids"),
    ("timeout", "/timeouts/run"),
    ("queue-timeout", "/timeouts/queue"),
    ("test", "/test"),
    ("label", "/output/labels"),
    ("tag", "/output/tags"),
    ("label-namespace", "/output/labelNamespace"),
    ("display-name", "/output/displayName"),
    ("description", "/output/description"),
    ("scripts-url", "/scriptsUrl"),
    ("destination", "/destination"),
    ("assemble-user", "/assembleUser"),
    ("webhook", "/triggers/webhooks"),
    ("schedule", "/triggers/schedule"),
    ("on-image-move", "/triggers/image"),
    ("policy", "/policy"),
    ("keep-succeeded", "/retention/succeeded"),
    ("keep-failed", "/retention/failed"),
    ("keep-for", "/retention/seconds"),
    ("triggers", "/triggers"),
    ("retention", "/retention"),
];

/// What tells an entry of a list from others: there is one of each.
const KEYS: [&str; 2] = ["name", "kind"];

pub(super) async fn set(args: SetBuild) -> anyhow::Result<()> {
    let (unset, json) = (args.unset.clone(), args.json);
    let path = Place(Some(&args.what.of.namespace)).path(&format!("builds/{}", args.what.name));
    let (what, remote) = (args.what.name.clone(), args.remote.clone());
    let namespace = args.what.of.namespace.clone();
    let (mut source, mut given) = given(args)?;
    anyhow::ensure!(
        source.is_some() || !unset.is_empty() || given != json!({}),
        "what is to be set? slipway build set --help names the options"
    );
    let client = connect(remote).await?;
    here(&mut source, &mut given, &namespace, client.server());
    let known: Option<Build> = client.find(&path).await?;
    let known = known.with_context(|| format!("there is no build {what}"))?;
    let mut spec = known.spec.clone();
    for text in &unset {
        take_away(&mut spec, text)?;
    }
    if let Some(source) = source {
        source.into(&mut spec["source"])?;
    }
    lay_over(&mut spec, given);
    if spec == known.spec {
        return said(&client, &known, "unchanged", json);
    }
    let changed: Build = client
        .put(&path, &json!({ "spec": spec }), Some(known.revision))
        .await?;
    said(&client, &changed, &changed.what_since(&known), json)
}

/// What is said of the source.
struct Source {
    /// What is built instead of what was.
    new: Option<SourceSpec>,
    /// What else is said of a repository.
    rest: Value,
}

impl Source {
    fn into(self, known: &mut Value) -> anyhow::Result<()> {
        if let Some(new) = self.new {
            let new = json!(new);
            if known["kind"] != new["kind"] {
                *known = new;
            } else if let Some(known) = known.as_object_mut() {
                // The revision is the URL's, what else is known of the repository stays.
                known.remove("revision");
                for name in ["url", "revision", "reference"] {
                    if let Some(value) = new.get(name) {
                        known.insert(name.to_owned(), value.clone());
                    }
                }
            }
        }
        anyhow::ensure!(
            self.rest == json!({}) || known["kind"] == "git",
            "the build's source is no repository: name one with --git"
        );
        lay_over(known, self.rest);
        Ok(())
    }
}

/// What the options say: of the source, and of all the rest.
fn given(args: SetBuild) -> anyhow::Result<(Option<Source>, Value)> {
    let mut rest = json!({});
    let GitArgs {
        context_dir,
        git_secret,
        submodules,
        lfs,
        ..
    } = &args.git;
    let texts = [
        ("revision", &args.revision),
        ("contextDir", context_dir),
        ("secret", git_secret),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            rest[name] = text.as_str().into();
        }
    }
    for (name, is_so) in [("submodules", *submodules), ("lfs", *lfs)] {
        if is_so {
            rest[name] = true.into();
        }
    }
    let new = spec::git(args.git).or_else(|| args.source.map(spec::image));
    let source = (new.is_some() || rest != json!({})).then_some(Source { new, rest });
    let of = |args: SpecArgs| {
        let nothing = spec::image(String::new());
        spec::spec(nothing, String::new(), "", args).map(|spec| json!(spec))
    };
    let ignore = args.spec.ignore.map(|ignore| spec::ignore(Some(ignore)));
    let mut given = unlike(&of(args.spec)?, &of(SpecArgs::default())?);
    // Also where it is what is usual: the build may have the other.
    if let Some(ignore) = ignore {
        given["ignore"] = json!(ignore);
    }
    lay_over(&mut given, spec::kept(args.kept));
    if let Some(builder) = args.builder {
        given["builder"] = builder.into();
    }
    if let Some(output) = args.output {
        given["output"]["image"] = output.into();
    }
    Ok((source, given))
}

/// Images as the server calls its own.
fn here(source: &mut Option<Source>, given: &mut Value, namespace: &str, server: &Server) {
    local_images(given, server);
    if let Some(Value::String(output)) = given.pointer_mut("/output/image") {
        *output = placed(output, namespace, server);
    }
    let new = source.as_mut().and_then(|source| source.new.as_mut());
    if let Some(SourceSpec::Image { reference }) = new {
        *reference = local(reference, server).to_owned();
    }
}

/// What of `one` is not so in `other`.
fn unlike(one: &Value, other: &Value) -> Value {
    let fields = one.as_object().into_iter().flatten();
    let fields = fields.filter(|(name, value)| other[name.as_str()] != **value);
    let fields = fields.map(|(name, value)| match value {
        Value::Object(_) if other[name.as_str()].is_object() => {
            (name.clone(), unlike(value, &other[name.as_str()]))
        }
        value => (name.clone(), value.clone()),
    });
    Value::Object(fields.collect())
}

/// Lays what is given over what is known: objects field by field, lists entry by entry. A command is one thing.
pub(super) fn lay_over(known: &mut Value, given: Value) {
    match (known, given) {
        (Value::Object(known), Value::Object(given)) => {
            for (name, value) in given {
                match known.get_mut(&name) {
                    Some(known) if name != "command" => lay_over(known, value),
                    _ => drop(known.insert(name, value)),
                }
            }
        }
        (Value::Array(known), Value::Array(given)) => {
            for entry in given {
                match known.iter_mut().find(|known| is_same(known, &entry)) {
                    Some(known) => *known = entry,
                    None => known.push(entry),
                }
            }
        }
        (known, given) => *known = given,
    }
}

fn is_same(one: &Value, other: &Value) -> bool {
    let key = |entry: &Value| KEYS.iter().find_map(|name| entry.get(name).cloned());
    one == other || (key(one).is_some() && key(one) == key(other))
}

/// What an entry is called; of one secret there may be several injections.
fn name(entry: &Value) -> Option<&str> {
    let mut fields = KEYS.iter().chain(&["secret"]);
    let named = fields.find_map(|field| entry.get(field));
    named.unwrap_or(entry).as_str()
}

/// Takes an option's value away, or one entry of it.
fn take_away(spec: &mut Value, text: &str) -> anyhow::Result<()> {
    let (option, entry) = match text.split_once('=') {
        Some((option, entry)) => (option, Some(entry)),
        None => (text, None),
    };
    let option = option.trim_start_matches('-');
    let field = FIELDS.iter().find(|(name, _)| *name == option);
    let (_, pointer) = field.with_context(|| {
        let known: Vec<_> = FIELDS.iter().map(|(name, _)| *name).collect();
        format!("--unset {text}: no option; those are {}", known.join(", "))
    })?;
    let (parent, name) = pointer.rsplit_once('/').unwrap_or(("", pointer));
    let Some(parent) = spec.pointer_mut(parent).and_then(Value::as_object_mut) else {
        return Ok(());
    };
    let Some(entry) = entry else {
        parent.remove(name);
        return Ok(());
    };
    match parent.get_mut(name) {
        None => {}
        Some(Value::Array(entries)) => entries.retain(|known| self::name(known) != Some(entry)),
        Some(Value::Object(entries)) if option == "label" => drop(entries.remove(entry)),
        Some(_) => anyhow::bail!("--unset {text}: {option} has no entries, write --unset {option}"),
    }
    Ok(())
}

/// Objects of nothing but what they say.
pub(super) fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let said = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let said = said.filter(|(_, value)| *value != json!({}));
    Value::Object(said.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests;
