//! Slipway: an OCI registry in one program.

mod cli;
mod commands;
mod config;
mod logging;
mod serve;
mod storage;
mod telemetry;
mod wiring;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match commands::run(cli) {
        Ok(code) => code,
        Err(error) => {
            // One line, whatever the causes say: scripts read it, and so do people.
            let line = format!("{error:#}").replace('\n', " ");
            // Where standard error is closed there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "slipway: {line}");
            ExitCode::FAILURE
        }
    }
}
