//! `slipway version`.

use super::print;
use crate::cli::Output;

/// The version that this program was built as.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) fn print(output: Output) -> anyhow::Result<()> {
    match output {
        Output::Text => print::line(&format!("slipway {VERSION}")),
        Output::Json => print::json(&serde_json::json!({ "version": VERSION })),
    }
}
