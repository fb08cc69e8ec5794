//! The report: what was measured, as Markdown for people and as JSON for programs.

mod markdown;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use crate::cases::Case;
use crate::machine::{Description, Machine};
use crate::measure::{Aim, Measure};
use crate::peers::Subject;

pub(crate) use markdown::figure;

/// A whole run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// When it began, UTC.
    date: String,
    /// The command that made it.
    command: String,
    machine: Description,
    versions: BTreeMap<Subject, String>,
    subjects: Vec<Subject>,
    rounds: usize,
    cases: Vec<CaseReport>,
}

#[derive(Debug, Serialize)]
struct CaseReport {
    name: &'static str,
    about: &'static str,
    measures: Vec<Measure>,
    /// Who could not be started or set up, and why.
    left_out: Vec<(Subject, String)>,
    /// Why it has none.
    failure: Option<String>,
}

impl Report {
    /// A report of a run that begins now.
    pub(crate) fn begin(
        machine: &Machine,
        subjects: &[Subject],
        rounds: usize,
        folder: &Path,
    ) -> Self {
        let arguments: Vec<_> = std::env::args().skip(1).collect();
        let command = format!("cargo run --release -p bench -- {}", arguments.join(" "));
        let version = |&subject: &Subject| {
            let version = subject
                .version()
                .unwrap_or_else(|| "of unknown version".to_owned());
            (subject, version)
        };
        Self {
            date: jiff::Timestamp::now()
                .strftime("%Y-%m-%d %H:%M UTC")
                .to_string(),
            command: command.trim_end_matches(['-', ' ']).to_owned(),
            machine: machine.describe(folder),
            versions: subjects.iter().map(version).collect(),
            subjects: subjects.to_vec(),
            rounds,
            cases: Vec::new(),
        }
    }

    /// Adds what a case measured, and who could not take part.
    pub(crate) fn add(
        &mut self,
        case: &Case,
        measures: Vec<Measure>,
        left_out: Vec<(Subject, String)>,
    ) {
        self.cases.push(CaseReport {
            name: case.name,
            about: case.about,
            measures,
            left_out,
            failure: None,
        });
    }

    /// Notes that a case could not be run.
    pub(crate) fn fail(&mut self, case: &Case, error: &anyhow::Error) {
        eprintln!("bench: {} failed: {error:#}", case.name);
        self.cases.push(CaseReport {
            name: case.name,
            about: case.about,
            measures: Vec::new(),
            left_out: Vec::new(),
            failure: Some(format!("{error:#}")),
        });
    }

    /// How many cases could not be run, or not with all who should take part.
    pub(crate) fn failed(&self) -> usize {
        let failed = |case: &&CaseReport| case.failure.is_some() || !case.left_out.is_empty();
        self.cases.iter().filter(failed).count()
    }

    /// All samples.
    ///
    /// # Errors
    /// None in practice: every part can be serialised.
    pub(crate) fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

impl CaseReport {
    /// How Slipway stands to an aim: the aim in words, what was reached, and whether that is enough.
    fn judge(&self, measure: &Measure, aim: &Aim) -> (String, Option<(f64, bool)>) {
        match *aim {
            Aim::Times { factor, of, row } => {
                let base =
                    row.and_then(|row| self.measures.iter().find(|measure| measure.name == row));
                let base = base.unwrap_or(measure).median(of);
                let reached = measure
                    .median(Subject::Slipway)
                    .zip(base)
                    .map(|(own, base)| ratio(measure, own, base));
                let elsewhere = if row.is_some() { " anonymous" } else { "" };
                let words = format!("≥ {}× {}{elsewhere}", figure(factor), of.title());
                (words, reached.map(|reached| (reached, reached >= factor)))
            }
            Aim::Below(limit) => {
                let reached = measure.median(Subject::Slipway);
                let words = format!("< {} {}", figure(limit), measure.unit.sign());
                (words, reached.map(|reached| (reached, reached < limit)))
            }
        }
    }
}

/// How many times better `own` is than `base`.
fn ratio(measure: &Measure, own: f64, base: f64) -> f64 {
    if measure.unit.more_is_better() {
        own / base
    } else {
        base / own
    }
}
