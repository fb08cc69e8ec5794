//! What this machine offers to builds.

use std::ffi::OsString;
use std::path::PathBuf;

use ::builder::sandbox::{self, Check, Standing};
use anyhow::Context as _;

use super::settings;
use crate::config::{Config, Enabled};

#[cfg(test)]
mod tests;

/// The command by which an ordinary user's runs get their sockets (`cli.rs`).
const LENDER: &str = "lend-sockets";

/// Whether builds are run here. Says in the log what lacks; fails where they are to be run and cannot.
pub(in crate::wiring) async fn runs_builds(config: &Config) -> anyhow::Result<bool> {
    if config.builder.enabled == Enabled::No {
        return Ok(false);
    }
    decide(config.builder.enabled, &examine(config).await?)
}

/// Looks at all that builds need, and changes nothing.
pub(crate) async fn examine(config: &Config) -> anyhow::Result<Vec<Check>> {
    match sandbox(config) {
        Ok(settings) => Ok(sandbox::examine(&settings).await),
        Err(error) => {
            let Some(lacking) = error.downcast_ref::<sandbox::SandboxError>() else {
                return Err(error);
            };
            // Without ids of its own there is no user namespace to try either.
            let others = sandbox::examine(&root(config)?).await;
            let others = others
                .into_iter()
                .filter(|check| !matches!(check.name, "user ids" | "user namespaces"));
            let ids = Check {
                name: "user ids",
                standing: Standing::Missing,
                detail: lacking.to_string(),
            };
            Ok(others.chain([ids]).collect())
        }
    }
}

/// How runs are set up on this machine.
pub(in crate::wiring) fn sandbox(config: &Config) -> anyhow::Result<sandbox::Settings> {
    let root = root(config)?;
    if rustix::process::geteuid().is_root() {
        return Ok(root);
    }
    let ordinary = sandbox::Settings::ordinary(root.state.clone(), root.lender.clone())?;
    Ok(sandbox::Settings {
        ids: ordinary.ids,
        ..root
    })
}

fn root(config: &Config) -> anyhow::Result<sandbox::Settings> {
    let state = settings::dir(config)?.join("sandbox");
    let itself = std::env::current_exe().context("the path of this program")?;
    Ok(sandbox::Settings {
        ids: config.builder.user_ids()?,
        runtime: PathBuf::from(&config.builder.runtime),
        lender: vec![itself.into(), OsString::from(LENDER)],
        upstream: settings::upstream(config)?,
        ..sandbox::Settings::root(state)?
    })
}

fn decide(enabled: Enabled, checks: &[Check]) -> anyhow::Result<bool> {
    let of = |standing: Standing| {
        let some = checks.iter().filter(|check| check.standing == standing);
        let told = some.map(|check| format!("{}: {}", check.name, check.detail));
        told.collect::<Vec<_>>().join("; ")
    };
    let (missing, limited) = (of(Standing::Missing), of(Standing::Limited));
    if !missing.is_empty() {
        anyhow::ensure!(
            enabled != Enabled::Yes,
            "builder.enabled: this machine cannot run builds: {missing}"
        );
        tracing::info!("this machine runs no builds (see slipway build doctor): {missing}");
        return Ok(false);
    }
    if !limited.is_empty() {
        tracing::warn!(
            "this machine runs builds with limits (see slipway build doctor): {limited}"
        );
    }
    Ok(true)
}
