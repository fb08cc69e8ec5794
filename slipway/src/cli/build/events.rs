//! Arguments of `slipway build events`.

use clap::Args;

use super::Namespace;
use crate::cli::{Printing, Remote};

#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Only those behind this one: its id, as JSON has it.
    #[arg(long, value_name = "ID")]
    pub(crate) after: Option<String>,
    /// Go on with what comes, until Ctrl-C; JSON is one line for each then.
    #[arg(long, short)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) of: Namespace,
    #[command(flatten)]
    pub(crate) remote: Remote,
    #[command(flatten)]
    pub(crate) printing: Printing,
}
