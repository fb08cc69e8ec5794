//! `slipway storage`.

use std::process::ExitCode;

use crate::cli::StorageCommand;

pub(super) async fn run(command: StorageCommand) -> anyhow::Result<ExitCode> {
    anyhow::bail!("{command:?}: not built yet")
}
