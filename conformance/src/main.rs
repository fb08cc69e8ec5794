//! A black-box suite for any registry that speaks OCI Distribution.
//!
//! It knows the registry by its URL only. Clauses carry the names of the official suite where that
//! has them; groups of their own hold what it lacks: authorization, enumeration, smuggled paths,
//! limits, confusion of manifests.

mod auth;
mod clause;
mod client;
mod content;
mod report;
mod suite;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};

use clause::{Clause, Context, Verdict};
use client::Client;

/// Judges a registry by the OCI Distribution Specification.
#[derive(Debug, Parser)]
#[command(
    after_help = "Exit code: 0 all passed or skipped, 1 something failed, 2 the suite could not run.

Examples:
  conformance --url http://127.0.0.1:5000
  conformance --url https://registry.example.com --user ada --password-file secret --report html --output report.html
  conformance --url http://127.0.0.1:5000 --filter 'sha512' --list"
)]
struct Cli {
    /// The registry, as scheme://host:port.
    #[arg(long)]
    url: url::Url,
    /// A user who may push, pull and delete below the repository prefix.
    #[arg(long)]
    user: Option<String>,
    /// The user's password, in a file; or in the environment as `CONFORMANCE_PASSWORD`.
    #[arg(long)]
    password_file: Option<PathBuf>,
    /// Repositories are made below this name.
    #[arg(long, default_value = "conformance")]
    repository: String,
    /// Which text of the specification: the released one, or what is being written.
    #[arg(long, value_enum, default_value_t = Edition::Dev)]
    edition: Edition,
    /// Only clauses whose name holds this.
    #[arg(long)]
    filter: Option<String>,
    /// Print the names and stop.
    #[arg(long)]
    list: bool,
    /// The form of the report.
    #[arg(long, value_enum)]
    report: Option<report::Form>,
    /// Where to write the report; standard output if missing.
    #[arg(long)]
    output: Option<PathBuf>,
    /// Trust the certificate authorities in this file (PEM) too.
    #[arg(long)]
    ca_file: Option<PathBuf>,
}

/// A text of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Edition {
    /// Version 1.1.1.
    #[value(name = "1.1")]
    Released,
    /// What has been added since.
    Dev,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("conformance: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<bool> {
    let clauses = chosen(&cli);
    if cli.list {
        for clause in &clauses {
            println!("{}", clause.name);
        }
        return Ok(true);
    }
    let client = Client::new(&cli.url, login(&cli)?, cli.ca_file.as_deref())?;
    let context = Arc::new(Context::new(client, &cli.repository)?);
    let mut results = Vec::new();
    for clause in clauses {
        let verdict = (clause.run)(Arc::clone(&context)).await;
        if cli.report.is_none() || cli.output.is_some() {
            println!("{}", report::line(&clause, &verdict));
        }
        results.push((clause, verdict));
    }
    if let Some(form) = cli.report {
        let text = form.render(&cli.url, &results);
        match &cli.output {
            Some(path) => std::fs::write(path, text).with_context(|| path.display().to_string())?,
            None => println!("{text}"),
        }
    }
    let count = |wanted: fn(&Verdict) -> bool| results.iter().filter(|(_, v)| wanted(v)).count();
    let failed = count(|verdict| matches!(verdict, Verdict::Fail(_) | Verdict::Error(_)));
    eprintln!(
        "{} passed, {failed} failed, {} skipped",
        count(|verdict| matches!(verdict, Verdict::Pass)),
        count(|verdict| matches!(verdict, Verdict::Skip(_))),
    );
    anyhow::ensure!(!results.is_empty(), "no clause has that in its name");
    Ok(failed == 0)
}

fn chosen(cli: &Cli) -> Vec<Clause> {
    suite::all(cli.edition)
        .into_iter()
        .filter(|clause| {
            let filter = cli.filter.as_deref();
            filter.is_none_or(|filter| clause.name.contains(filter))
        })
        .collect()
}

fn login(cli: &Cli) -> anyhow::Result<Option<(String, String)>> {
    let Some(user) = &cli.user else {
        return Ok(None);
    };
    let password = match &cli.password_file {
        Some(path) => std::fs::read_to_string(path).with_context(|| path.display().to_string())?,
        None => std::env::var("CONFORMANCE_PASSWORD")
            .context("--user needs --password-file, or CONFORMANCE_PASSWORD in the environment")?,
    };
    Ok(Some((user.clone(), password.trim_end().to_owned())))
}
