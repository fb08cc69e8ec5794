//! How results are printed.

use clap::{Args, ValueEnum};

/// How the result is printed.
#[derive(Debug, Args)]
pub(crate) struct Printing {
    /// The form of the result.
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// The same as --output json.
    #[arg(long, conflicts_with = "output")]
    json: bool,
}

impl Printing {
    /// The form that was asked for.
    pub(crate) fn form(&self) -> Output {
        if self.json { Output::Json } else { self.output }
    }
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}
