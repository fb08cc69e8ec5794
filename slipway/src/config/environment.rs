//! Keys as environment variables: `SLIPWAY_` and the key's path in upper snake case, joined by
//! `__`. `storage.fs.root` is `SLIPWAY_STORAGE__FS__ROOT`.

use std::ffi::OsString;

use anyhow::Context as _;
use serde_json::{Map, Value};

use super::explain::{KeyPath, Step};
use super::names;

const PREFIX: &str = "SLIPWAY_";
/// Keys of which exactly one is given, so that one from the environment replaces the file's.
const ALTERNATIVES: [&str; 2] = ["storage", "index"];

/// A variable of ours: the path of its key, and its value.
pub(super) struct Variable {
    /// As it is written.
    pub(super) name: String,
    path: Vec<String>,
    text: String,
}

impl Variable {
    /// Whether it is this key.
    pub(super) fn is_of(&self, key: &KeyPath) -> bool {
        let keys = self.path.iter().map(|key| Step::Key(key.clone()));
        keys.eq(key.steps().iter().cloned())
    }
}

/// Our variables, in the order of their names. `keys` holds every key of the top level.
///
/// Kubernetes puts `SLIPWAY_PORT_…` into every pod beside a service of that name, and commands have variables of their
/// own: an unknown one without `__` is an error only where it looks like one of ours. With `__` it can only be meant for
/// us.
pub(super) fn ours(
    keys: &[String],
    all: impl Iterator<Item = (OsString, OsString)>,
) -> anyhow::Result<Vec<Variable>> {
    let mut found: Vec<_> = all
        .filter_map(|(name, text)| {
            let name = name.to_string_lossy();
            let key = name.strip_prefix(PREFIX)?;
            Some((key.to_owned(), text))
        })
        .collect();
    found.sort();
    let names = names::all();
    let mut variables = Vec::with_capacity(found.len());
    for (key, text) in found {
        let name = format!("{PREFIX}{key}");
        let path: Vec<String> = key.split("__").map(camel).collect();
        if keys.contains(&path[0]) {
            let text = text.to_str();
            let text = text.with_context(|| format!("{name}: its value is not UTF-8"))?;
            let text = text.to_owned();
            variables.push(Variable { name, path, text });
        } else if let Some(meant) = names::meant(&key, &names) {
            anyhow::bail!("{name}: there is no such variable: did you mean {PREFIX}{meant}?");
        } else {
            anyhow::ensure!(
                path.len() == 1,
                "{name}: {} is no key; there are {}",
                path[0],
                keys.join(", ")
            );
            if !names::is_of_commands(&key) {
                tracing::warn!("{name}: is no key and changes nothing");
            }
        }
    }
    Ok(variables)
}

/// Lays variables over the configuration.
pub(super) fn overlay<'a>(
    config: &mut Value,
    variables: impl IntoIterator<Item = &'a Variable>,
) -> anyhow::Result<()> {
    for Variable { name, path, text } in variables {
        set(config, path, text).with_context(|| name.clone())?;
    }
    Ok(())
}

fn set(config: &mut Value, path: &[String], text: &str) -> anyhow::Result<()> {
    let Some((last, parents)) = path.split_last() else {
        anyhow::bail!("names no key");
    };
    let mut place = config;
    let mut exclusive = false;
    for key in parents {
        let map = map(place)?;
        if exclusive {
            map.retain(|other, _| other == key);
        }
        exclusive = ALTERNATIVES.contains(&key.as_str());
        place = map.entry(key).or_insert(Value::Null);
    }
    let map = map(place)?;
    if exclusive {
        map.retain(|other, _| other == last);
    }
    map.insert(last.clone(), read(text));
    Ok(())
}

fn map(value: &mut Value) -> anyhow::Result<&mut Map<String, Value>> {
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().context("the key above holds no keys")
}

/// A value is written as in the file; what is no YAML is the text itself.
fn read(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// `CERT_FILE` → `certFile`.
fn camel(upper: &str) -> String {
    let mut camel = String::with_capacity(upper.len());
    for (i, word) in upper.split('_').enumerate() {
        let word = word.to_ascii_lowercase();
        match word.chars().next() {
            Some(first) if i > 0 => {
                camel.push(first.to_ascii_uppercase());
                camel.push_str(&word[first.len_utf8()..]);
            }
            _ => camel.push_str(&word),
        }
    }
    camel
}
