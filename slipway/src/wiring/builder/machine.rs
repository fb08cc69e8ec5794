//! What this machine offers to builds.

use std::path::PathBuf;

use ::builder::sandbox::{self, Check, Standing};
use ::builder::source::git;

use super::settings;
use crate::config::{Config, Enabled};
use crate::logging::OF_MACHINE;

#[cfg(test)]
mod tests;

const DIR: &str = "builder.dir";
const MIN_FREE: &str = "builder.minFreeBytes";

/// Whether builds are run here. Says in the log what lacks; fails where they are to be run and cannot.
pub(in crate::wiring) async fn runs_builds(config: &Config) -> anyhow::Result<bool> {
    if config.builder.enabled == Enabled::No {
        return Ok(false);
    }
    decide(config.builder.enabled, &examine(config).await?)
}

/// Looks at all that builds need, and changes nothing.
pub(crate) async fn examine(config: &Config) -> anyhow::Result<Vec<Check>> {
    let mut checks = match sandbox(config) {
        Ok(settings) => sandbox::examine(&settings).await,
        Err(error) => {
            let Some(lacking) = error.downcast_ref::<sandbox::SandboxError>() else {
                return Err(error);
            };
            let ids = Check {
                name: "user ids",
                standing: Standing::Missing,
                detail: lacking.to_string(),
            };
            // Without ids of its own there is no user namespace to try either.
            let others = sandbox::examine(&root(config)?).await;
            let others = others
                .into_iter()
                .filter(|check| !matches!(check.name, "user ids" | "user namespaces"));
            others.chain([ids]).collect()
        }
    };
    checks.extend(folder(config)?);
    checks.extend(git::examine().await);
    Ok(checks)
}

/// Warns where a server that may run builds could not, for what its configuration alone decides: the folder.
pub(in crate::wiring) fn warn_of_folder(config: &Config) -> anyhow::Result<()> {
    let mut found = folder(config)?;
    found.retain(|check| check.standing == Standing::Missing);
    for Check { name, detail, .. } in found {
        tracing::warn!("{name}: {detail}");
    }
    Ok(())
}

/// The folder of builds and its disk; nothing for who is no root and mounts nothing, which is said already.
fn folder(config: &Config) -> anyhow::Result<Vec<Check>> {
    let dir = settings::dir(config)?;
    if !rustix::process::geteuid().is_root() {
        return Ok(Vec::new());
    }
    let place = sandbox::examine_folder(DIR, &dir);
    // Where a folder will not do, its disk is not the one to look at.
    let room = (place.standing != Standing::Missing)
        .then(|| sandbox::examine_room(MIN_FREE, config.builder.min_free_bytes, DIR, &dir));
    Ok([place].into_iter().chain(room).collect())
}

/// How runs are set up on this machine.
pub(in crate::wiring) fn sandbox(config: &Config) -> anyhow::Result<sandbox::Settings> {
    let state = state(config)?;
    let ours = sandbox::Settings::of_this_process(state, config.builder.user_ids()?)?;
    configured(config, ours)
}

fn root(config: &Config) -> anyhow::Result<sandbox::Settings> {
    configured(config, sandbox::Settings::root(state(config)?)?)
}

fn configured(config: &Config, usual: sandbox::Settings) -> anyhow::Result<sandbox::Settings> {
    Ok(sandbox::Settings {
        runtime: PathBuf::from(&config.builder.runtime),
        upstream: settings::upstream(config)?,
        ..usual
    })
}

fn state(config: &Config) -> anyhow::Result<PathBuf> {
    Ok(settings::dir(config)?.join("sandbox"))
}

fn decide(enabled: Enabled, checks: &[Check]) -> anyhow::Result<bool> {
    let told = |checks: &[&Check]| {
        let told = checks
            .iter()
            .map(|check| format!("{}: {}", check.name, check.detail));
        told.collect::<Vec<_>>().join("; ")
    };
    let of = |standing: Standing| -> Vec<&Check> {
        let some = checks.iter().filter(|check| check.standing == standing);
        some.collect()
    };
    let (missing, old) = (told(&of(Standing::Missing)), told(&of(Standing::Old)));
    // What a key says is the configuration's, not the machine's.
    let (by_key, limited): (Vec<_>, Vec<_>) = of(Standing::Limited)
        .into_iter()
        .partition(|check| [DIR, MIN_FREE].contains(&check.name));
    if !missing.is_empty() {
        anyhow::ensure!(
            enabled != Enabled::Yes,
            "builder.enabled: this machine cannot run builds: {missing}"
        );
        tracing::warn!(
            "this machine runs no builds (see slipway build doctor; if it is to run none, set builder.enabled: false): {missing}"
        );
        return Ok(false);
    }
    for Check { name, detail, .. } in by_key {
        tracing::warn!("{name}: {detail}");
    }
    if !limited.is_empty() {
        tracing::warn!(
            target: OF_MACHINE,
            "this machine runs builds with limits (see slipway build doctor): {}",
            told(&limited)
        );
    }
    if !old.is_empty() {
        tracing::info!("builds are run with versions to look at (see slipway build doctor): {old}");
    }
    Ok(true)
}
