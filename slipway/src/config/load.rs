//! From file and environment to a [`Config`] that keeps its rules.

use std::ffi::OsString;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use super::Config;
use super::environment::{Variable, ours, overlay};

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
        Some((path, text)) => serde_saphyr::from_str::<Option<Config>>(text)
            .map_err(|error| anyhow::anyhow!("{}: {}", path.display(), one_line(&error)))?
            .unwrap_or_default(),
        None => Config::default(),
    };
    let file = serde_json::to_value(from_file)?;
    let variables = ours(&keys(&file), variables)?;
    let mut config = overlaid(&file, &variables)?;
    config.insecure_open |= insecure_open;
    config.check()?;
    Ok(config)
}

fn overlaid(file: &Value, variables: &[Variable]) -> anyhow::Result<Config> {
    let without = |left_out: Option<&Variable>| -> anyhow::Result<Config> {
        let is_in = |one: &&Variable| left_out.is_none_or(|out| out.name != one.name);
        let mut value = file.clone();
        overlay(&mut value, variables.iter().filter(is_in))?;
        Ok(serde_json::from_value(value)?)
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
        let advice = if said.contains("expected a sequence") {
            "; a list is written as in YAML: [\"…\", \"…\"]"
        } else {
            ""
        };
        anyhow::anyhow!("{name}: {said}{advice}")
    })
}

fn keys(value: &Value) -> Vec<String> {
    let map = value.as_object();
    map.map(|map| map.keys().cloned().collect())
        .unwrap_or_default()
}

/// Errors go on one line: the parser's own form is a drawing of the file.
fn one_line(error: &serde_saphyr::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().trim().to_owned()
}
