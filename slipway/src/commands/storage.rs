//! `slipway storage`.

mod spinner;
mod text;

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use storage::{fsck, reindex, stats};

use super::print;
use crate::cli::{ConfigFile, Output, StorageCommand};
use crate::config::{Config, load};
use crate::logging;
use crate::storage::{Made, check_content, index_file, lock, look_at, objects};
use spinner::Spinner;

/// How long a push may be half way before it looks like damage.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

pub(super) async fn run(command: StorageCommand) -> anyhow::Result<ExitCode> {
    match command {
        StorageCommand::Fsck {
            file,
            deep,
            printing,
        } => check(&config(&file)?, deep, printing.form()).await,
        StorageCommand::Reindex {
            file,
            deep,
            discard_journal,
            printing,
        } => {
            let options = reindex::Options {
                deep,
                discard_journal,
            };
            rebuild(&config(&file)?, options, printing.form()).await
        }
        StorageCommand::Stats { file, printing } => count(&config(&file)?, printing.form()).await,
    }
}

/// Whom it is served to makes no difference here.
fn config(file: &ConfigFile) -> anyhow::Result<Config> {
    let config = load(file.config.as_deref(), true)?;
    logging::start_warnings();
    Ok(config)
}

async fn check(config: &Config, deep: bool, output: Output) -> anyhow::Result<ExitCode> {
    let (store, index) = look_at(config).await?;
    let options = fsck::Options {
        deep,
        again_after: Some(AGAIN_AFTER),
        complete: !config.manifests.sparse,
    };
    let spinner = Spinner::start();
    let tell = |checked: fsck::Checked| spinner.say(text::checked(&checked));
    let report = fsck::fsck(&store, &index, options, &tell).await?;
    spinner.stop();
    match output {
        Output::Json => print::json(&report)?,
        Output::Text => {
            text::findings(&report.findings)?;
            print::line(&text::checked(&report.checked))?;
            text::verdict(&report.findings)?;
        }
    }
    Ok(code(report.is_clean()))
}

async fn rebuild(
    config: &Config,
    options: reindex::Options,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let path = index_file(config)?;
    check_content(config)?;
    let made = Made::of(config)?;
    let _lock = lock(config)?;
    let store = objects(config)?;
    made.give_away()?;
    let spinner = Spinner::start();
    let tell = |recorded: reindex::Progress| spinner.say(text::recorded(&recorded));
    let reindexed = reindex::reindex(&store, &path, options, SystemTime::now(), &tell).await;
    made.give_away()?;
    let reindexed = reindexed?;
    spinner.stop();
    match output {
        Output::Json => print::json(&reindexed)?,
        Output::Text => {
            text::findings(&reindexed.findings)?;
            print::line(&text::recorded(&reindexed.recorded))?;
            text::verdict(&reindexed.findings)?;
        }
    }
    Ok(code(reindexed.findings.is_clean()))
}

async fn count(config: &Config, output: Output) -> anyhow::Result<ExitCode> {
    let (_store, index) = look_at(config).await?;
    let stats = stats::stats(&*index).await?;
    match output {
        Output::Text => text::stats(&stats)?,
        Output::Json => print::json(&stats)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn code(is_clean: bool) -> ExitCode {
    if is_clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
