//! `slipway build`.

mod doctor;

use std::process::ExitCode;

use crate::cli::BuildCommand;

pub(super) async fn run(command: BuildCommand) -> anyhow::Result<ExitCode> {
    match command {
        BuildCommand::Doctor(args) => doctor::run(args).await,
    }
}
