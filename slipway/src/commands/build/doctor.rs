//! `slipway build doctor`.

use std::process::ExitCode;

use builder::sandbox::{Check, Standing};
use serde::Serialize;

use crate::cli::{Doctor, Output};
use crate::commands::print;
use crate::config::{Enabled, load};
use crate::{logging, wiring};

/// What was found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    /// Builds can be run here.
    can_run: bool,
    /// `builder.enabled`.
    enabled: Enabled,
    checks: Vec<Found>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    name: &'static str,
    standing: &'static str,
    detail: String,
}

pub(super) async fn run(args: Doctor) -> anyhow::Result<ExitCode> {
    // Whom it is served to makes no difference here.
    let config = load(args.file.config.as_deref(), true)?;
    logging::start_warnings();
    let checks = wiring::builder::examine(&config).await?;
    let report = Report {
        can_run: checks
            .iter()
            .all(|check| check.standing != Standing::Missing),
        enabled: config.builder.enabled,
        checks: checks.into_iter().map(found).collect(),
    };
    match args.printing.form() {
        Output::Json => print::json(&report)?,
        Output::Text => text(&report)?,
    }
    Ok(if report.can_run {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn found(check: Check) -> Found {
    Found {
        name: check.name,
        standing: match check.standing {
            Standing::Good => "good",
            Standing::Old => "old",
            Standing::Limited => "limited",
            Standing::Missing => "missing",
        },
        detail: check.detail,
    }
}

fn text(report: &Report) -> anyhow::Result<()> {
    let widest = report.checks.iter().map(|check| check.name.len()).max();
    let width = widest.unwrap_or_default();
    for Found {
        name,
        standing,
        detail,
    } in &report.checks
    {
        print::line(&format!("{standing:<7}  {name:<width$}  {detail}"))?;
    }
    print::line(if !report.can_run {
        "\nno builds can be run here: get what is missing"
    } else if report.enabled == Enabled::No {
        "\nbuilds can be run here, but builder.enabled is false"
    } else {
        "\nbuilds can be run here"
    })
}
