//! The report in Markdown.

use std::fmt::Write as _;

use super::{CaseReport, Report, ratio};
use crate::measure::{Aim, Measure, Percentiles, Sample};
use crate::peers::Subject;

/// Above this share of its cores the generator may have been the limit.
const GENERATOR_BOUND: f64 = 0.9;

impl Report {
    /// The whole report.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::from("# Benchmarks\n\n");
        text += "Slipway beside its peers: one machine, one run, the same load on each in turn, round by round.\n";
        text += "Only the ratios mean anything elsewhere. How to run and read this: [bench/README.md](../bench/README.md).\n\n";
        let machine = &self.machine;
        for (name, value) in [
            ("Date", &self.date),
            ("Command", &format!("`{}`", self.command)),
            (
                "Machine",
                &format!(
                    "{}, {} cores, {}",
                    machine.processor, machine.cores, machine.memory
                ),
            ),
            ("Cores", &machine.sharing),
            ("Kernel", &machine.kernel),
            ("Data on", &machine.disk),
            ("Load before", &machine.load_before),
            (
                "Rounds",
                &format!(
                    "{}; figures are medians, in brackets the lowest and highest",
                    self.rounds
                ),
            ),
        ] {
            let _ = writeln!(text, "- {name}: {value}");
        }
        for (subject, version) in &self.versions {
            let _ = writeln!(text, "- {}: {version}", subject.title());
        }
        for case in &self.cases {
            self.case(&mut text, case);
        }
        text
    }

    fn case(&self, text: &mut String, case: &CaseReport) {
        let _ = writeln!(text, "\n## {}\n\n{}.", case.name, capital(case.about));
        if let Some(failure) = &case.failure {
            let _ = writeln!(text, "\nCould not be run: {failure}");
            return;
        }
        self.overview(text, case);
        self.details(text, case);
        notes(text, case);
    }

    /// One line a row: the figure of each subject, ratios, aims.
    fn overview(&self, text: &mut String, case: &CaseReport) {
        let taking_part = |subject: &&Subject| {
            case.measures
                .iter()
                .any(|row| row.samples.contains_key(subject))
        };
        let subjects: Vec<_> = self.subjects.iter().filter(taking_part).copied().collect();
        text.push_str("\n| |");
        for subject in &subjects {
            let _ = write!(text, " {} |", subject.title());
        }
        let bases = Subject::BASES
            .into_iter()
            .filter(|base| subjects.contains(base));
        let bases: Vec<_> = bases.collect();
        for base in &bases {
            let _ = write!(text, " × {} |", base.title());
        }
        text.push_str(" aim |\n|---|");
        text.push_str(&"---:|".repeat(subjects.len() + bases.len()));
        text.push_str("---|\n");
        for row in &case.measures {
            let _ = write!(text, "| {} [{}] |", row.name, row.unit.sign());
            for &subject in &subjects {
                let _ = write!(text, " {} |", median_and_range(row, subject));
            }
            for &peer in &bases {
                let both = row.median(Subject::Slipway).zip(row.median(peer));
                let ratio = both.map_or_else(
                    || "–".to_owned(),
                    |(own, base)| format!("**{}×**", figure(ratio(row, own, base))),
                );
                let _ = write!(text, " {ratio} |");
            }
            let aims: Vec<_> = row.aims.iter().map(|aim| verdict(case, row, aim)).collect();
            let _ = writeln!(text, " {} |", aims.join("; "));
        }
    }

    /// One line a row and subject: latencies, CPU, memory.
    fn details(&self, text: &mut String, case: &CaseReport) {
        let measured = |row: &&Measure| {
            row.samples
                .values()
                .flatten()
                .any(|sample| sample.cpu.is_some())
        };
        let rows: Vec<_> = case.measures.iter().filter(measured).collect();
        let Some(first) = rows.first() else { return };
        let tails = rows.iter().any(|row| {
            row.samples
                .values()
                .flatten()
                .any(|sample| sample.tail.is_some())
        });
        let tail_head = if tails { " tail p50 / p99 ms |" } else { "" };
        let tail_line = if tails { "---:|" } else { "" };
        let _ = write!(
            text,
            "\n<details><summary>Latency, CPU, memory</summary>\n\n\
             | | | p50 / p99 / p99.9 ms |{tail_head} {} | peak RSS MiB | anonymous MiB | generator busy |\n\
             |---|---|---:|{tail_line}---:|---:|---:|---:|\n",
            first.unit.cpu_sign()
        );
        for row in rows {
            for &subject in self
                .subjects
                .iter()
                .filter(|subject| row.samples.contains_key(subject))
            {
                let _ = write!(text, "| {} | {} |", row.name, subject.title());
                let _ = write!(
                    text,
                    " {} |",
                    percentiles(row, subject, |sample| sample.latency, true)
                );
                if tails {
                    let _ = write!(
                        text,
                        " {} |",
                        percentiles(row, subject, |sample| sample.tail, false)
                    );
                }
                let cell = |what: fn(&Sample) -> Option<f64>| {
                    row.median_of(subject, what)
                        .map_or_else(|| "–".to_owned(), figure)
                };
                let busy = row
                    .median_of(subject, |sample| sample.generator)
                    .unwrap_or_default();
                let mark = if busy > GENERATOR_BOUND { " ⚠" } else { "" };
                let _ = writeln!(
                    text,
                    " {} | {} | {} | {:.0} %{mark} |",
                    cell(|sample| sample.cpu),
                    cell(|sample| sample.peak.map(mebibytes)),
                    cell(|sample| sample.anonymous.map(mebibytes)),
                    busy * 100.0,
                );
            }
        }
        text.push_str("\n</details>\n");
    }
}

fn notes(text: &mut String, case: &CaseReport) {
    let notes: Vec<_> = case
        .measures
        .iter()
        .flat_map(|row| {
            row.notes
                .iter()
                .map(|(subject, note)| (&row.name, *subject, note))
        })
        .collect();
    if !notes.is_empty() || !case.left_out.is_empty() {
        text.push('\n');
    }
    for (subject, why) in &case.left_out {
        let _ = writeln!(
            text,
            "- {} could not take part: {}",
            subject.title(),
            why.replace('\n', " ")
        );
    }
    for (name, subject, note) in notes {
        let note = note.replace('\n', " ");
        let _ = writeln!(text, "- {name}: {} {note}", subject.title());
    }
}

fn verdict(case: &CaseReport, row: &Measure, aim: &Aim) -> String {
    let (words, reached) = case.judge(row, aim);
    match reached {
        None => words,
        Some((reached, true)) => format!("{words}: met ({})", figure(reached)),
        Some((reached, false)) => format!("{words}: **missed** ({})", figure(reached)),
    }
}

fn median_and_range(row: &Measure, subject: Subject) -> String {
    let values = row.values(subject);
    match (row.median(subject), values.first(), values.last()) {
        (Some(median), Some(&least), Some(&most)) => {
            let mark = if row.notes.contains_key(&subject) {
                " ⚠"
            } else {
                ""
            };
            format!(
                "{} ({}–{}){mark}",
                figure(median),
                figure(least),
                figure(most)
            )
        }
        _ => "–".to_owned(),
    }
}

fn percentiles(
    row: &Measure,
    subject: Subject,
    of: fn(&Sample) -> Option<Percentiles>,
    last: bool,
) -> String {
    let at = |what: fn(Percentiles) -> f64| {
        let median = row.median_of(subject, |sample| of(sample).map(what));
        median.map_or_else(|| "–".to_owned(), figure)
    };
    let two = format!("{} / {}", at(|of| of.p50), at(|of| of.p99));
    if last {
        format!("{two} / {}", at(|of| of.p999))
    } else {
        two
    }
}

/// Three digits that matter: 0.0123, 1.23, 12.3, 123, 12,345.
pub(crate) fn figure(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude == 0.0 {
        return "0".to_owned();
    }
    if magnitude >= 1000.0 {
        return thousands(&format!("{value:.0}"));
    }
    let digits = match magnitude {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        0.1.. => 3,
        _ => 4,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    text
}

fn thousands(digits: &str) -> String {
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn mebibytes(bytes: u64) -> f64 {
    crate::number(bytes) / 1_048_576.0
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + letters.as_str()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits() {
        for (value, text) in [
            (0.0, "0"),
            (0.012_34, "0.0123"),
            (1.234, "1.23"),
            (8.0, "8"),
            (12.34, "12.3"),
            (100.0, "100"),
            (123.4, "123"),
            (1_234_567.8, "1,234,568"),
        ] {
            assert_eq!(figure(value), text);
        }
    }
}
