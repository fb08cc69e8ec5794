//! `slipway config`.

use schemars::schema_for;

use super::print;
use crate::cli::ConfigCommand;
use crate::config::{Config, load};

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
