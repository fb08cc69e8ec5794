//! Arguments of `slipway build`.

use clap::Subcommand;

use super::Doctor;

#[derive(Debug, Subcommand)]
pub(crate) enum BuildCommand {
    /// Say what this machine lacks for running builds, and how to get it.
    ///
    /// Looks at kernel, runtime, programs, user namespaces, limits and network as a server with this
    /// configuration would, and changes nothing; run it as the server's user, also beside a running
    /// server. Exits with 1 when no build can be run here.
    #[command(after_help = "Examples:
  slipway build doctor
  slipway build doctor --config slipway.yaml --output json | jq -r '.checks[] | select(.standing != \"good\").detail'")]
    Doctor(Doctor),
}
