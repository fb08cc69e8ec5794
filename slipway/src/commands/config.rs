//! `slipway config`.

use schemars::schema_for;

use crate::cli::ConfigCommand;
use crate::config::{Config, load};

pub(super) fn run(command: ConfigCommand) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Print(file) => {
            let config = load(file.config.as_deref(), false)?.effective();
            print!("{}", serde_saphyr::to_string(&config)?);
        }
        ConfigCommand::Check(file) => {
            crate::wiring::check(&load(file.config.as_deref(), false)?)?;
            println!("the configuration is good");
        }
        ConfigCommand::Schema => {
            println!("{}", serde_json::to_string_pretty(&schema_for!(Config))?);
        }
    }
    Ok(())
}
