//! `slipway version`.

use crate::cli::Output;

/// The version that this program was built as.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) fn print(output: Output) {
    match output {
        Output::Text => println!("slipway {VERSION}"),
        Output::Json => println!("{}", serde_json::json!({ "version": VERSION })),
    }
}
