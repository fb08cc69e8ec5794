//! From file and environment to a [`Config`] that keeps its rules.

use std::ffi::OsString;
use std::path::Path;

use anyhow::Context as _;
use schemars::{JsonSchema, schema_for};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Config;
use super::environment::{Variable, ours, overlay};
use super::explain::{KeyPath, explain};
use super::locate::{locate, locate_key};

/// What errors call it.
const CONFIGURATION: &str = "configuration";

/// Reads the configuration: the file if one is named, then the environment over it.
pub(crate) fn load(file: Option<&Path>, insecure_open: bool) -> anyhow::Result<Config> {
    let text = match file {
        Some(path) => Some((
            path,
            std::fs::read_to_string(path).with_context(|| path.display().to_string())?,
        )),
        None => None,
    };
    let text = text.as_ref().map(|(path, text)| (*path, text.as_str()));
    parse(text, std::env::vars_os(), insecure_open)
}

/// As [`load`], with the file's text and the variables given.
pub(super) fn parse(
    file: Option<(&Path, &str)>,
    variables: impl Iterator<Item = (OsString, OsString)>,
    insecure_open: bool,
) -> anyhow::Result<Config> {
    let from_file = match file {
        // A file of nothing but comments is the default configuration.
        Some((path, text)) => read(text, CONFIGURATION)
            .map_err(|error| anyhow::anyhow!("{}:{error}", path.display()))?
            .unwrap_or_default(),
        None => Config::default(),
    };
    let text = file;
    let file = serde_json::to_value(from_file)?;
    let variables = ours(&keys(&file), variables)?;
    let mut config = overlaid(&file, &variables)?;
    config.insecure_open |= insecure_open;
    config.check().map_err(|error| {
        let said = format!("{error:#}");
        match whence(&said, &variables, text) {
            None => error,
            Some(whence) => anyhow::anyhow!("{whence}{said}"),
        }
    })?;
    Ok(config)
}

fn overlaid(file: &Value, variables: &[Variable]) -> anyhow::Result<Config> {
    let schema = schema_for!(Config).to_value();
    let without = |left_out: Option<&Variable>| -> anyhow::Result<Config> {
        let is_in = |one: &&Variable| left_out.is_none_or(|out| out.name != one.name);
        let mut value = file.clone();
        overlay(&mut value, variables.iter().filter(is_in))?;
        let read = serde_path_to_error::deserialize(&value);
        read.map_err(|error| {
            let path = KeyPath::of(error.path());
            let said = error.inner().to_string();
            anyhow::anyhow!(explain(&path, &said, &value, (&schema, CONFIGURATION)))
        })
    };
    without(None).map_err(|error| {
        let said = format!("{error:#}");
        // The parser does not know where a value came from: it is the one without which the error would be another.
        let wrong = variables.iter().find(|variable| {
            let other = without(Some(variable)).map_err(|error| format!("{error:#}"));
            other.err().as_ref() != Some(&said)
        });
        let name = wrong.map_or("SLIPWAY_…", |variable| &variable.name);
        if said.starts_with(name) {
            return error;
        }
        anyhow::anyhow!("{name}: {said}")
    })
}

fn keys(value: &Value) -> Vec<String> {
    let map = value.as_object();
    map.map(|map| map.keys().cloned().collect())
        .unwrap_or_default()
}

/// Reads a text of YAML that is to be a `what`; `None` if nothing is in it. An error begins with line and column, and names the
/// key and what it may be.
pub(crate) fn read<T: DeserializeOwned + JsonSchema>(
    text: &str,
    what: &str,
) -> Result<Option<T>, String> {
    let schema = schema_for!(T).to_value();
    let form = (&schema, what);
    let mut path = KeyPath::default();
    let read = serde_saphyr::with_deserializer_from_str(text, |deserializer| {
        serde_path_to_error::deserialize(deserializer).map_err(|error| {
            path = KeyPath::of(error.path());
            error.into_inner()
        })
    });
    read.map_err(|error| {
        let said = one_line(&error);
        match serde_saphyr::from_str::<Value>(text) {
            Ok(document) => {
                let unknown = path.to_unknown(&said);
                let at = unknown.as_ref().and_then(|path| locate_key(text, path));
                let at = at.map_or_else(|| place(&error), |(line, at)| format!("{line}:{at}: "));
                let path = unknown.unwrap_or(path);
                format!("{at}{}", explain(&path, &said, &document, form))
            }
            Err(_) if said.contains("duplicate mapping key") => {
                format!(
                    "{}{}",
                    place(&error),
                    explain(&path, &said, &Value::Null, form)
                )
            }
            // What it is not even as YAML comes before what it is not as a configuration.
            Err(error) => format!("{}this is no YAML: {}", place(&error), one_line(&error)),
        }
    })
}

fn place(error: &serde_saphyr::Error) -> String {
    let place = error.location();
    place.map_or_else(
        || " ".to_owned(),
        |at| format!("{}:{}: ", at.line(), at.column()),
    )
}

/// The parser's own form is a drawing of the file.
fn one_line(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    text.lines().next().unwrap_or_default().trim().to_owned()
}

/// Where the value of the key that an error begins with came from, and a colon.
fn whence(said: &str, variables: &[Variable], file: Option<(&Path, &str)>) -> Option<String> {
    let key = KeyPath::parse(said.split(':').next()?);
    if let Some(variable) = variables.iter().find(|variable| variable.is_of(&key)) {
        return Some(format!("{}: ", variable.name));
    }
    let (path, text) = file?;
    let (line, column) = locate(text, &key)?;
    Some(format!("{}:{line}:{column}: ", path.display()))
}
