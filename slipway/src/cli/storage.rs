//! Arguments of `slipway storage`.

use clap::Subcommand;

use super::{ConfigFile, Printing};

#[derive(Debug, Subcommand)]
pub(crate) enum StorageCommand {
    /// Check that objects and index agree and that nothing stored is missing.
    ///
    /// Exits with 1 when something is wrong. Runs beside a running server.
    #[command(after_help = "Examples:
  slipway storage fsck --config slipway.yaml
  slipway storage fsck --deep --json | jq '.findings[]'")]
    Fsck {
        #[command(flatten)]
        file: ConfigFile,
        /// Read everything and compare it with its digest.
        #[arg(long)]
        deep: bool,
        #[command(flatten)]
        printing: Printing,
    },
    /// Rebuild the index from the objects.
    ///
    /// For content that another registry wrote (CNCF Distribution's layout), and for an index
    /// that was lost or damaged. The server must not be running. Upload sessions end; their
    /// clients start anew. Exits with 1 when something could not be taken over.
    #[command(after_help = "Example:
  systemctl stop slipway && slipway storage reindex --config slipway.yaml && systemctl start slipway")]
    Reindex {
        #[command(flatten)]
        file: ConfigFile,
        /// Read everything and leave out what is not what its digest says.
        #[arg(long)]
        deep: bool,
        /// Lose pushes and deletions that only the old index knows, because their links could not be written.
        #[arg(long)]
        discard_journal: bool,
        #[command(flatten)]
        printing: Printing,
    },
    /// Count what is stored.
    #[command(after_help = "Examples:
  slipway storage stats --config slipway.yaml
  slipway storage stats --json | jq .repositories")]
    Stats {
        #[command(flatten)]
        file: ConfigFile,
        #[command(flatten)]
        printing: Printing,
    },
}
