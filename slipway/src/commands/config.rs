//! `slipway config`.

use schemars::schema_for;

use super::print;
use crate::cli::{ConfigCommand, ConfigFile};
use crate::config::{Config, Enabled, load};

pub(super) async fn run(command: ConfigCommand) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Print(file) => {
            let config = load(file.config.as_deref(), false)?.effective();
            print::whole(serde_saphyr::to_string(&config)?.as_bytes())
        }
        ConfigCommand::Check { file, strict } => {
            let warnings = crate::logging::start_warnings();
            crate::wiring::check(&load(file.config.as_deref(), false)?).await?;
            let count = warnings.count();
            anyhow::ensure!(
                !strict || count == 0,
                "--strict: warnings above: {count}; a server would start all the same"
            );
            print::line("the configuration is good")
        }
        ConfigCommand::Schema => print::line(&serde_json::to_string_pretty(&schema_for!(Config))?),
    }
}

/// Goes where a server with this configuration would go before it looks at anything, so that a check sees what it would see.
pub(super) fn enter(file: &ConfigFile) -> anyhow::Result<()> {
    let path = file.config.as_deref();
    // What is wrong is said by the check itself, out here where owners of folders have the numbers that people know.
    let runs_builds = || {
        load(path, false).is_ok_and(|config| {
            config.builder.enabled != Enabled::No && config.check_folders().is_ok()
        })
    };
    crate::nested::enter(path, runs_builds)
}
