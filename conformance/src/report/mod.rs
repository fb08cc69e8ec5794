//! What is written about a run.

mod html;
mod json;
mod junit;

use clap::ValueEnum;
use url::Url;

use crate::clause::{Clause, Verdict};

/// A clause and what came of it.
pub(crate) type Judged = (Clause, Verdict);

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// `JUnit` XML, which most CI systems read.
    Junit,
    /// A JSON document.
    Json,
    /// One page that needs nothing beside it.
    Html,
}

impl Form {
    pub(crate) fn render(self, url: &Url, results: &[Judged]) -> String {
        match self {
            Self::Junit => junit::render(url, results),
            Self::Json => json::render(url, results),
            Self::Html => html::render(url, results),
        }
    }
}

/// One line for people.
pub(crate) fn line(clause: &Clause, verdict: &Verdict) -> String {
    let name = &clause.name;
    match why(verdict) {
        None => format!("pass   {name}"),
        Some(why) => format!("{:6} {name} [{}]: {why}", word(verdict), clause.source),
    }
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Skip(_) => "skip",
        Verdict::Fail(_) => "FAIL",
        Verdict::Error(_) => "ERROR",
    }
}

fn why(verdict: &Verdict) -> Option<&str> {
    match verdict {
        Verdict::Pass => None,
        Verdict::Skip(why) | Verdict::Fail(why) | Verdict::Error(why) => Some(why),
    }
}

/// Text inside XML and HTML; control characters, which XML 1.0 cannot hold, are left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            char if char.is_control() && char != '\n' => {}
            char => escaped.push(char),
        }
    }
    escaped
}
