//! The names under which this one program is run.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory as _, FromArgMatches as _};

use crate::cli::Cli;

/// The name under which kubectl finds the program, as `kubectl slipway`
/// (<https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/>).
pub(crate) const PLUGIN: &str = "kubectl-slipway";
/// The name under which kubectl asks what may follow `kubectl slipway`.
pub(crate) const COMPLETION: &str = "kubectl_complete-slipway";
/// The name under which podman, docker and helm run it for a login.
pub(crate) const HELPER: &str = "docker-credential-slipway";
/// What the files of logins call that program: the name behind `docker-credential-`.
pub(crate) const HELPER_NAME: &str = "slipway";

/// How the program was run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Invoked {
    /// By its own name, or by any other.
    Directly,
    /// As `kubectl slipway`: whoever the current context stands for.
    ByKubectl,
}

/// The command line, whichever name it begins with. Ends the program where that is wrong, or asks for help.
pub(crate) fn parse(mut arguments: Vec<OsString>) -> (Cli, Invoked) {
    let path = arguments.first().map(PathBuf::from);
    let name = path.as_deref().and_then(Path::file_name);
    let (invoked, shown) = match name.and_then(OsStr::to_str) {
        Some(PLUGIN) => (Invoked::ByKubectl, "kubectl slipway"),
        Some(HELPER) => {
            arguments.insert(1, "credential-helper".into());
            (Invoked::Directly, "slipway")
        }
        Some(COMPLETION) => {
            // What follows is being typed, and may look like options.
            arguments.splice(1..1, ["complete-kubectl".into(), "--".into()]);
            (Invoked::Directly, "slipway")
        }
        _ => (Invoked::Directly, "slipway"),
    };
    // As other programs have it: an empty variable is none.
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    let command = without_variables(Cli::command().bin_name(shown), &is_empty);
    match read(command.clone(), &arguments) {
        Ok(cli) => (cli, invoked),
        Err(error) if error.use_stderr() => {
            // A usage line has what was said, and what variables say looks as if one had to say it.
            let of_words_alone = read(without_variables(command, &|_| true), &arguments).err();
            let same = of_words_alone.filter(|other| other.kind() == error.kind());
            same.unwrap_or(error).exit()
        }
        Err(help) => help.exit(),
    }
}

fn read(mut command: Command, arguments: &[OsString]) -> Result<Cli, clap::Error> {
    let matches = command.try_get_matches_from_mut(arguments)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// The command as it is without those variables of the environment.
fn without_variables(command: Command, are_left_out: &dyn Fn(&OsStr) -> bool) -> Command {
    command
        .mut_args(|argument| match argument.get_env() {
            Some(name) if are_left_out(name) => argument.env(None),
            _ => argument,
        })
        .mut_subcommands(|inner| without_variables(inner, are_left_out))
}
