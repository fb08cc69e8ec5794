//! Arguments of `slipway user`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ConfigFile, Printing};

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Add a user.
    #[command(after_help = "Example:
  slipway user add ada --password-stdin --config slipway.yaml < password")]
    Add(User),
    /// Change a user's password.
    #[command(after_help = "Example:
  slipway user passwd ada --config slipway.yaml      asks for the new one")]
    Passwd(User),
    /// Remove a user.
    #[command(after_help = "Example:
  slipway user remove ada --htpasswd /etc/slipway/users")]
    Remove {
        /// The user's name.
        name: String,
        #[command(flatten)]
        file: UserFile,
    },
    /// List the users.
    #[command(after_help = "Examples:
  slipway user list --config slipway.yaml
  slipway user list --json | jq -r '.[].name'")]
    List {
        #[command(flatten)]
        file: UserFile,
        #[command(flatten)]
        printing: Printing,
    },
}

#[derive(Debug, Args)]
pub(crate) struct User {
    /// The user's name.
    pub(crate) name: String,
    /// Read the password from standard input instead of asking for it.
    #[arg(long)]
    pub(crate) password_stdin: bool,
    #[command(flatten)]
    pub(crate) file: UserFile,
}

/// Which htpasswd file.
#[derive(Debug, Args)]
pub(crate) struct UserFile {
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    /// The htpasswd file. Default: the one that the configuration names.
    #[arg(long, value_name = "FILE")]
    pub(crate) htpasswd: Option<PathBuf>,
}
