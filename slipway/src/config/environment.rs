//! Keys as environment variables: `SLIPWAY_` and the key's path in upper snake case, joined by
//! `__`. `storage.fs.root` is `SLIPWAY_STORAGE__FS__ROOT`.

use std::ffi::OsString;

use anyhow::Context as _;
use serde_json::{Map, Value};

const PREFIX: &str = "SLIPWAY_";
/// Keys of which exactly one is given, so that one from the environment replaces the file's.
const ALTERNATIVES: [&str; 2] = ["storage", "index"];

/// Lays variables over the configuration. `known` holds every key of the top level.
///
/// A variable without `__` whose name is no key is left alone: Kubernetes puts `SLIPWAY_PORT_…` into
/// every pod beside a service of that name, and clients have variables of their own. With `__` it can
/// only be meant for us, so a misspelt one is an error.
pub(super) fn overlay(
    config: &mut Value,
    known: &[String],
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> anyhow::Result<()> {
    let mut variables: Vec<_> = variables
        .filter_map(|(name, text)| {
            let name = name.to_string_lossy();
            let key = name.strip_prefix(PREFIX)?;
            Some((key.to_owned(), text))
        })
        .collect();
    variables.sort();
    for (key, text) in variables {
        let name = format!("{PREFIX}{key}");
        let path: Vec<String> = key.split("__").map(camel).collect();
        if known.contains(&path[0]) {
            let text = text.to_str();
            let text = text.with_context(|| format!("{name}: its value is not UTF-8"))?;
            set(config, &path, text).with_context(|| name.clone())?;
        } else if let Some(meant) = known.iter().find(|known| is_meant(&path[0], known)) {
            anyhow::bail!(
                "{name}: the key {meant} is written {PREFIX}{}",
                upper(meant)
            );
        } else {
            anyhow::ensure!(
                path.len() == 1,
                "{name}: {} is no key; there are {}",
                path[0],
                known.join(", ")
            );
        }
    }
    Ok(())
}

/// `datadir` is meant for `dataDir`.
fn is_meant(written: &str, key: &str) -> bool {
    written.eq_ignore_ascii_case(key)
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

/// `certFile` → `CERT_FILE`.
fn upper(camel: &str) -> String {
    let mut upper = String::with_capacity(camel.len() + 1);
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() {
            upper.push('_');
        }
        upper.push(letter.to_ascii_uppercase());
    }
    upper
}
