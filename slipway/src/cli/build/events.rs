//! Arguments of `slipway build events`.

use clap::Args;

use super::Namespace;
use crate::cli::{Printing, Remote};

#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Only those behind this one: its position, as JSON has it.
    #[arg(long, value_name = "POSITION")]
    pub(crate) after: Option<u64>,
    /// The id of the event there: it is an error if another is there by now, because the server has older records than it had.
    #[arg(long, value_name = "ID", requires = "after")]
    pub(crate) id: Option<String>,
    /// Go on with what comes, until Ctrl-C; JSON is one line for each then. A server that is away is waited for.
    #[arg(long, short)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) of: Namespace,
    #[command(flatten)]
    pub(crate) remote: Remote,
    #[command(flatten)]
    pub(crate) printing: Printing,
}
