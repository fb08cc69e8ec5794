//! The names under which this one program is run.

use std::ffi::OsString;
use std::path::Path;

use clap::{CommandFactory as _, FromArgMatches as _};

use crate::cli::Cli;

/// The name under which kubectl finds the program, as `kubectl slipway`
/// (<https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/>).
pub(crate) const PLUGIN: &str = "kubectl-slipway";
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
    let name = arguments.first().map(Path::new).and_then(Path::file_name);
    let is = |wanted: &str| name.is_some_and(|name| name == wanted);
    let (invoked, shown) = if is(PLUGIN) {
        (Invoked::ByKubectl, "kubectl slipway")
    } else {
        (Invoked::Directly, "slipway")
    };
    if is(HELPER) {
        arguments.insert(1, "credential-helper".into());
    }
    let mut command = Cli::command().bin_name(shown);
    let parsed = command
        .try_get_matches_from_mut(arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    match parsed {
        Ok(cli) => (cli, invoked),
        Err(error) => error.format(&mut command).exit(),
    }
}
