//! The configuration of the image that comes out.

use std::collections::BTreeMap;

use super::image::ExecutionConfig;
use super::labels::merged;
use super::{ContainerPath, Refusal, Scope, Variable};

#[cfg(test)]
mod tests;

/// The configuration of the result: that of the image it stands on, with
///
/// - `Cmd` the run script alone, in exec form; without one, as it was;
/// - `User`, `Entrypoint`, `WorkingDir` and all else as they were, whoever ran `assemble`;
/// - `Env` with the variables of the build over it, less those that hold while building only;
/// - `Labels` of the image < `generated` < `requested`. What `assemble` asks for comes over them all when it has run:
///   [`with_labels`].
pub fn result(
    base: &ExecutionConfig,
    run: Option<&ContainerPath>,
    variables: &[Variable],
    generated: &BTreeMap<String, String>,
    requested: &BTreeMap<String, String>,
) -> Result<ExecutionConfig, Refusal> {
    let mut config = base.clone();
    if let Some(run) = run {
        config.cmd = Some(vec![run.as_str().to_owned()]);
    }
    let stays = |variable: &&Variable| variable.scope() == Scope::Both;
    config.env = environment(&base.env, variables.iter().filter(stays));
    config.labels = merged(&[&base.labels, generated, requested])?;
    Ok(config)
}

/// A result's configuration with the labels that `assemble` asked for (see [`super::metadata_labels`]).
pub fn with_labels(
    mut config: ExecutionConfig,
    asked: &BTreeMap<String, String>,
) -> Result<ExecutionConfig, Refusal> {
    config.labels = merged(&[&config.labels, asked])?;
    Ok(config)
}

/// An image's environment with variables over it: what is there keeps its place, what is new comes after it.
pub(crate) fn environment<'a>(
    base: &[String],
    variables: impl Iterator<Item = &'a Variable>,
) -> Vec<String> {
    let mut entries = base.to_vec();
    for variable in variables {
        let entry = variable.entry();
        let same = |known: &&mut String| {
            known.split_once('=').map(|(name, _)| name) == Some(variable.name())
        };
        match entries.iter_mut().find(same) {
            Some(known) => *known = entry,
            None => entries.push(entry),
        }
    }
    entries
}
