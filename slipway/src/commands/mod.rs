//! The commands, one file each. `serve` has a room of its own.

mod audit;
mod auth;
mod build;
mod builder_image;
mod complete_kubectl;
mod config;
mod credential_helper;
mod credential_provider;
mod images;
mod links;
mod login;
mod man;
mod print;
mod prompt;
mod secret;
mod storage;
mod table;
mod token;
mod user;
mod version;

pub(crate) use version::VERSION;

use std::process::ExitCode;
use std::time::Duration;

use clap::CommandFactory as _;

use crate::cli::{BuildCommand, Cli, Command, ConfigCommand};
use crate::config::Enabled;
use crate::invoked::Invoked;

/// Runs what was asked for. The exit code is for answers such as "not clean"; failures are errors.
pub(crate) fn run(cli: Cli, invoked: Invoked) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Serve(args) => {
            let config = crate::config::load(args.file.config.as_deref(), args.insecure_open)?;
            crate::logging::start(&config.log)?;
            let runs_builds = || config.builder.enabled != Enabled::No;
            crate::nested::enter(args.file.config.as_deref(), runs_builds)?;
            // Outside the runtime: the exporter has a thread and a client of its own.
            let traces = crate::telemetry::start(&config.telemetry)?;
            let sink = traces.as_ref().map(crate::telemetry::Traces::sink);
            let runtime = runtime()?;
            let served = runtime.block_on(crate::serve::run(config, sink));
            // What a thread still does for nobody ends with the process.
            runtime.shutdown_timeout(THREADS_END);
            served?;
            if let Some(traces) = traces {
                traces.stop();
            }
        }
        Command::Login(args) => runtime()?.block_on(login::login(args, invoked))?,
        Command::Logout(args) => login::logout(&args)?,
        Command::Auth(command) => return runtime()?.block_on(auth::run(command)),
        Command::Audit(args) => runtime()?.block_on(audit::run(*args))?,
        Command::Pull(args) => runtime()?.block_on(images::pull(args))?,
        Command::Push(args) => runtime()?.block_on(images::push(args))?,
        Command::Copy(args) => runtime()?.block_on(images::copy(args))?,
        Command::Ls(args) => runtime()?.block_on(images::ls(args))?,
        Command::Tag(args) => runtime()?.block_on(images::tag(args))?,
        Command::Rm(args) => runtime()?.block_on(images::rm(args))?,
        Command::Inspect(args) => runtime()?.block_on(images::inspect(args))?,
        Command::Build(command) => {
            if let BuildCommand::Doctor(args) = &command {
                crate::nested::enter(args.file.config.as_deref(), || true)?;
            }
            return runtime()?.block_on(build::run(command));
        }
        Command::BuilderImage(command) => runtime()?.block_on(builder_image::run(command))?,
        Command::Secret(command) => runtime()?.block_on(secret::run(command))?,
        Command::Tunnel { way } => builder::source::git::tunnel(&way)?,
        Command::Config(command) => {
            if let ConfigCommand::Check { file, .. } = &command {
                config::enter(file)?;
            }
            runtime()?.block_on(config::run(command))?;
        }
        Command::Storage(command) => return runtime()?.block_on(storage::run(command)),
        Command::Token(command) => runtime()?.block_on(token::run(command))?,
        Command::User(command) => user::run(command)?,
        Command::CredentialProvider(command) => credential_provider::run(command)?,
        Command::CredentialHelper(command) => {
            return runtime()?.block_on(credential_helper::run(command));
        }
        Command::CompleteKubectl { words } => complete_kubectl::run(&words)?,
        Command::InstallLinks { dir } => links::install(dir.as_deref())?,
        Command::Completions { shell } => {
            let mut command = visible(&Cli::command());
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command, "slipway", &mut script);
            print::whole(&script)?;
        }
        Command::Man { dir } => man::write(&dir)?,
        Command::Version(printing) => version::print(printing.form())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The command line without what people do not type: the generator of completions offers hidden commands, too.
fn visible(whole: &clap::Command) -> clap::Command {
    let commands = whole.get_subcommands().filter(|one| !one.is_hide_set());
    clap::Command::new("slipway")
        .version(VERSION)
        .args(whole.get_arguments())
        .subcommands(commands)
}

/// Files are read and written on blocking threads, which are made when needed: each of the uploads
/// that `limits` admits by default may occupy one, and cold reads come on top.
const BLOCKING_THREADS: usize = 2_048;

/// How long a server that has ended waits for threads that block.
const THREADS_END: Duration = Duration::from_secs(5);

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn completions_offer_what_people_type() {
        let mut script = Vec::new();
        let mut command = super::visible(&super::Cli::command());
        clap_complete::generate(
            clap_complete::Shell::Bash,
            &mut command,
            "slipway",
            &mut script,
        );
        let script = String::from_utf8(script).unwrap_or_default();
        for word in ["whoami", "completions", "--password-stdin", "--version"] {
            assert!(script.contains(word), "{word}");
        }
        for word in ["complete-kubectl", "tunnel"] {
            assert!(!script.contains(word), "{word}");
        }
    }
}
