//! The names under which this one program is run.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::{CommandFactory as _, FromArgMatches as _};

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
    let mut command = Cli::command().bin_name(shown);
    let parsed = command
        .try_get_matches_from_mut(arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    match parsed {
        Ok(cli) => (cli, invoked),
        Err(error) => error.format(&mut command).exit(),
    }
}
