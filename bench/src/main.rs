//! Benchmarks of Slipway beside its peers: one machine, one run, the same load in turn; the result is ratios.

mod accounting;
mod bench;
mod cases;
mod load;
mod machine;
mod material;
mod measure;
mod peers;
mod process;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, ValueEnum};

use crate::bench::Bench;
use crate::machine::Machine;
use crate::peers::Subject;
use crate::report::Report;

/// Drives Slipway and its peers with the same load, in turn, and prints ratios.
#[derive(Debug, Parser)]
#[command(name = "bench", after_help = cases::listing())]
struct Arguments {
    /// Only the cases whose name begins so; may be given more than once
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Only these subjects
    #[arg(long, value_enum, value_delimiter = ',', value_name = "SUBJECT")]
    subjects: Vec<Subject>,
    /// Small sizes, short windows, 3 rounds: shows that everything runs; its figures are rough
    #[arg(long)]
    quick: bool,
    /// How often each subject has its turn [default: 5, quick: 3]
    #[arg(long)]
    rounds: Option<usize>,
    /// Write the report to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// The form of the report
    #[arg(long, value_enum, default_value = "markdown")]
    output: Form,
    /// Where servers keep their data: a real disk with some tens of gigabytes free
    #[arg(long, value_name = "DIR", default_value_os_t = std::env::temp_dir())]
    dir: PathBuf,
    /// Let servers and load generator share all cores, even where there are enough to part them
    #[arg(long)]
    no_pin: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    Markdown,
    Json,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments = Arguments::parse();
    let chosen = cases::choose(&arguments.only)?;
    let machine = Machine::new(!arguments.no_pin);
    let asked: &[Subject] = if arguments.subjects.is_empty() {
        &Subject::ALL
    } else {
        &arguments.subjects
    };
    let subjects = present(asked);
    ensure!(!subjects.is_empty(), "none of the subjects is here");
    let rounds = arguments
        .rounds
        .unwrap_or(if arguments.quick { 3 } else { 5 });
    ensure!(rounds > 0, "--rounds must be at least 1");

    let mut report = Report::begin(&machine, &subjects, rounds, &arguments.dir);
    let bench = Bench::new(machine, subjects, arguments.quick, rounds, &arguments.dir)?;
    let asked_for = chosen.len();
    for case in chosen {
        eprintln!("{}: {}", case.name, case.about);
        match (case.run)(&bench) {
            Ok(measures) => report.add(case, measures, bench.left_out()),
            Err(error) => report.fail(case, &error),
        }
    }

    let text = match arguments.output {
        Form::Markdown => report.markdown(),
        Form::Json => report.json()?,
    };
    match arguments.write {
        None => print!("{text}"),
        Some(file) => {
            if let Some(folder) = file.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(&file, text).with_context(|| file.display().to_string())?;
        }
    }
    ensure!(
        report.failed() == 0,
        "{} of {} cases were not run as they should be",
        report.failed(),
        asked_for
    );
    Ok(())
}

/// Those subjects whose program is here; the others are named on stderr with what to do about it.
fn present(asked: &[Subject]) -> Vec<Subject> {
    let mut present = Vec::new();
    for &subject in asked {
        if subject.program().is_some() {
            present.push(subject);
        } else {
            eprintln!(
                "bench: {} is not here: {}",
                subject.title(),
                subject.remedy()
            );
        }
    }
    present
}

/// A count as a floating-point figure.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn number(count: u64) -> f64 {
    count as f64
}
