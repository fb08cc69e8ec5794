//! `slipway audit`.

use std::path::PathBuf;

use clap::Args;
use storage::audit::{Outcome, Verb};

use super::{Printing, Remote};

#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// Only of this user.
    #[arg(long, short)]
    pub(crate) user: Option<String>,
    /// Only what was done by the token with this id, as `slipway token list` shows it.
    #[arg(long, value_name = "ID")]
    pub(crate) token: Option<String>,
    /// Only of this namespace.
    #[arg(long, short)]
    pub(crate) namespace: Option<String>,
    /// Only of this repository, such as team/app.
    #[arg(long, short)]
    pub(crate) repository: Option<String>,
    /// Only with these verbs: push, retag, delete, mount, upload, pull, list, login, admin, omitted.
    #[arg(long, value_name = "VERB", value_delimiter = ',')]
    pub(crate) verb: Vec<Verb>,
    /// Only with this outcome: allowed, denied, failed.
    #[arg(long)]
    pub(crate) outcome: Option<Outcome>,
    /// Not older than this.
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Older than this.
    #[arg(long, value_name = "TIME", conflicts_with = "follow")]
    pub(crate) until: Option<String>,
    /// Rows at most; with --follow, how many of those that are there.
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: usize,
    /// Go on with what comes, oldest first.
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Read the index that this configuration names, instead of asking a server.
    // Server and login may come from the environment, which is there for other commands too.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["plain_http", "ca_file"])]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) remote: Remote,
    #[command(flatten)]
    pub(crate) printing: Printing,
}
