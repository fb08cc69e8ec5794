//! The commands, one file each. `serve` has a room of its own.

mod authfile;
mod config;
mod login;
mod prompt;
mod storage;
mod user;
mod version;

pub(crate) use version::VERSION;

use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::cli::{Cli, Command};

/// Runs what was asked for. The exit code is for answers such as "not clean"; failures are errors.
pub(crate) fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Serve(args) => {
            let config = crate::config::load(args.file.config.as_deref(), args.insecure_open)?;
            crate::logging::start(&config.log)?;
            runtime()?.block_on(crate::serve::run(config))?;
        }
        Command::Login(args) => runtime()?.block_on(login::login(args))?,
        Command::Logout(args) => login::logout(&args)?,
        Command::Config(command) => config::run(command)?,
        Command::Storage(command) => return runtime()?.block_on(storage::run(command)),
        Command::User(command) => user::run(command)?,
        Command::Completions { shell } => {
            let mut command = Cli::command();
            clap_complete::generate(shell, &mut command, "slipway", &mut std::io::stdout());
        }
        Command::Version { output } => version::print(output)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
}
