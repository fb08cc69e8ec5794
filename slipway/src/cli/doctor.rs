//! Arguments of `slipway build doctor`.

use clap::Args;

use super::{ConfigFile, Printing};

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) file: ConfigFile,
    #[command(flatten)]
    pub(crate) printing: Printing,
}
