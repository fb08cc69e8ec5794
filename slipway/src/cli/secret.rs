//! Arguments of `slipway secret`.

use clap::{Subcommand, ValueEnum};

use super::build::{Namespace, plain};
use super::{Printing, Remote};

#[derive(Debug, Subcommand)]
pub(crate) enum SecretCommand {
    /// Set a secret, also one that is there. Nobody is ever shown it again.
    ///
    /// A secret is some files, and is for one thing. Of builds (--for build): assemble finds the files in memory, and a layer
    /// that has their content in it is not published. Of git servers (--for git): the files username and password (or a
    /// token), or ssh-privatekey and `known_hosts`, and ca.crt for a certificate of an authority of one's own; it is shown to the servers of --host only, and never comes near a program
    /// of a build. Of webhooks (--for webhook):
    /// the file webhook-secret. Of images (--for image): configuration that --inject-keep puts into an image, where everyone who
    /// pulls it can read it.
    #[command(after_help = "Examples:
  slipway secret set npmrc -n team --from-file .npmrc=$HOME/.npmrc
  slipway secret set git -n team --for git --host git.example.com --from-file ssh-privatekey=$HOME/.ssh/id_ed25519 --from-file known_hosts=known_hosts
  pass show git-token | slipway secret set git -n team --for git --host git.example.com --from-file username=user.txt --from-stdin password
  openssl rand -hex 32 | slipway secret set hook -n team --for webhook --from-stdin webhook-secret")]
    Set {
        /// Its name: lower-case letters, digits and -.
        #[arg(value_parser = plain)]
        name: String,
        /// A file, under this name or its own. May be given more than once.
        #[arg(long, value_name = "[NAME=]PATH")]
        from_file: Vec<String>,
        /// The file of this name: standard input without its last line break.
        #[arg(long, value_name = "NAME", required_unless_present = "from_file")]
        from_stdin: Option<String>,
        /// What it may be used for.
        #[arg(long = "for", value_enum, default_value_t = Use::Build)]
        used_for: Use,
        /// A git server that it may be shown to: NAME, or NAME:PORT if it is not the usual one of https or ssh. May be given more than once.
        #[arg(long, value_name = "HOST", required_if_eq("used_for", "git"))]
        host: Vec<String>,
        #[command(flatten)]
        of: Namespace,
        #[command(flatten)]
        remote: Remote,
    },
    /// List the secrets of a namespace, without what is in them.
    #[command(after_help = "Example:
  slipway secret list -n team")]
    List {
        #[command(flatten)]
        of: Namespace,
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        printing: Printing,
    },
    /// Remove secrets. Runs that name them will fail.
    #[command(after_help = "Examples:
  slipway secret rm npmrc -n team
  slipway secret rm --all -n team")]
    Rm {
        /// The secrets.
        #[arg(required_unless_present = "all", value_parser = plain)]
        names: Vec<String>,
        /// All of the namespace.
        #[arg(long, conflicts_with = "names")]
        all: bool,
        #[command(flatten)]
        of: Namespace,
        #[command(flatten)]
        remote: Remote,
    },
}

/// What a secret may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Use {
    /// Files that assemble sees.
    Build,
    /// Fetching sources.
    Git,
    /// Signing webhooks.
    Webhook,
    /// Staying in an image, which everyone who pulls it can read.
    Image,
}
