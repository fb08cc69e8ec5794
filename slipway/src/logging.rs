//! What the program says of itself, on standard error.

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Log, LogFormat};

/// Starts logging for the server. The audit record's lines are told by `audit.log`, not by their level.
pub(crate) fn start(log: &Log) -> anyhow::Result<()> {
    let filter = filter(log)?.add_directive("audit=info".parse()?);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    match log.format {
        LogFormat::Text => registry
            .with(lines.with_target(false).with_ansi(false))
            .init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).init(),
    }
    Ok(())
}

/// Lets a command say what is odd but no error, one line each. Call it once.
pub(crate) fn start_warnings() {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing::Level::WARN)
        .without_time()
        .with_target(false)
        .with_ansi(false)
        .init();
}

/// What is logged.
pub(crate) fn filter(log: &Log) -> anyhow::Result<EnvFilter> {
    let level = &log.level;
    // For `tracing` a word alone is a level or else a module, so that a misspelt level turns all others off.
    if let Some(word) =
        words(level).find(|word| word.is_empty() || word.parse::<LevelFilter>().is_err())
    {
        anyhow::bail!(
            "log.level: {level:?}: {word:?} is no level: there are error, warn, info, debug, trace and off; for one \
             module write storage=debug"
        );
    }
    EnvFilter::try_new(level).with_context(|| format!("log.level: {level:?} is no filter"))
}

/// The directives, which `tracing` parts at every comma, that say nothing of modules, spans or fields.
fn words(filter: &str) -> impl Iterator<Item = &str> {
    let parts = filter.split(',').map(str::trim);
    parts.filter(|part| !part.contains(['=', '[']))
}

#[cfg(test)]
mod tests {
    use super::{Log, filter};

    #[test]
    fn a_misspelt_level_does_not_turn_the_log_off() {
        let of = |level: &str| {
            filter(&Log {
                level: level.to_owned(),
                ..Log::default()
            })
        };
        for level in [
            "loud",
            "inof",
            "",
            "info,",
            "info,storage",
            "warn, loud",
            "5x",
        ] {
            let said = of(level).unwrap_err().to_string();
            assert!(said.starts_with("log.level: "), "{said}");
            assert!(said.contains("there are error"), "{said}");
        }
        for level in [
            "info",
            "WARN",
            "off",
            "info,storage=debug",
            "storage=debug",
            "warn,storage::fs=trace",
            "info,[push{repo}]=debug",
        ] {
            of(level).unwrap();
        }
    }
}
