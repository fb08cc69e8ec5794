//! The cases, one a file.

#![expect(
    clippy::unnecessary_wraps,
    reason = "cases have one signature, and some of them can fail"
)]

mod blob;
mod builds;
mod catalog;
mod images;
mod layer_export;
mod manifest;
mod push;
mod referrers;
mod reviews;
mod stage;
mod stalled;
mod startup;
mod tags;

use std::fmt::Write as _;

use anyhow::{Result, ensure};

use crate::bench::Bench;
use crate::measure::Measure;

/// Something to measure.
#[derive(Debug)]
pub(crate) struct Case {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// What it does, for the report.
    pub(crate) about: &'static str,
    /// Does it.
    pub(crate) run: fn(&Bench) -> Result<Vec<Measure>>,
}

/// All of them, in the report's order. Reviews are first: if the lab gives up, nothing is lost with it.
pub(crate) const CASES: &[Case] = &[
    reviews::CASE,
    manifest::CASE,
    blob::CASE,
    push::CASE,
    images::CASE,
    tags::CASE,
    catalog::CASE,
    referrers::CASE,
    startup::CASE,
    stalled::CASE,
    builds::CASE,
    layer_export::CASE,
];

/// The cases whose names begin with one of `only`, or all.
///
/// # Errors
/// A name that fits none.
pub(crate) fn choose(only: &[String]) -> Result<Vec<&'static Case>> {
    for name in only {
        let fits = CASES
            .iter()
            .any(|case| case.name.starts_with(name.as_str()));
        ensure!(
            fits,
            "no case is called {name:?}; there are:\n{}",
            listing()
        );
    }
    let chosen = CASES.iter().filter(|case| {
        only.is_empty() || only.iter().any(|name| case.name.starts_with(name.as_str()))
    });
    Ok(chosen.collect())
}

/// The names and what they do.
pub(crate) fn listing() -> String {
    let mut text = String::from("Cases:\n");
    for case in CASES {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {:<13} {}", case.name, case.about);
    }
    text
}
