//! From file and environment to a [`Config`] that keeps its rules.

use std::ffi::OsString;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use super::{Config, environment};

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
    let mut value = serde_json::to_value(from_file)?;
    let known = keys(&value);
    environment::overlay(&mut value, &known, variables)?;
    let mut config: Config =
        serde_json::from_value(value).context("from the environment (SLIPWAY_…)")?;
    config.insecure_open |= insecure_open;
    config.check()?;
    Ok(config)
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
