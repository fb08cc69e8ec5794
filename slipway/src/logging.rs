//! What the program says of itself, on standard error.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
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

/// The target of warnings that are about the machine and not the configuration.
pub(crate) const OF_MACHINE: &str = "machine";

/// Lets a command say what is odd but no error, one line each, and counts it. Call it once.
pub(crate) fn start_warnings() -> Warnings {
    let warnings = Warnings::default();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .without_time()
        .with_target(false)
        .with_ansi(false);
    tracing_subscriber::registry()
        .with(LevelFilter::WARN)
        .with(warnings.clone())
        .with(lines)
        .init();
    warnings
}

/// How many there were, but for those [of the machine](OF_MACHINE).
#[derive(Clone, Default)]
pub(crate) struct Warnings(Arc<AtomicUsize>);

impl Warnings {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl<S: tracing::Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != OF_MACHINE {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
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
    let filter = |level: &str| {
        EnvFilter::try_new(level).with_context(|| format!("log.level: {level:?} is no filter"))
    };
    filter(level)?;
    let quiet = OURS_TO_TELL
        .iter()
        .filter(|(named, _)| !level.contains(named));
    let mut all = level.clone();
    for (_, directives) in quiet {
        all.push(',');
        all.push_str(directives);
    }
    filter(&all)
}

/// Libraries that are quiet unless the filter names them, since whoever called them says it, and not with every request: they
/// name neither address nor question. That of Kubernetes may quote an answer too; its word on certificates nobody else has.
const OURS_TO_TELL: [(&str, &str); 2] = [
    (
        "kube_",
        "kube_client::client=off,kube_client::client::tls=warn,kube_runtime::watcher=off",
    ),
    (
        "rustls_platform_verifier",
        "rustls_platform_verifier::verification=off",
    ),
];

/// The directives, which `tracing` parts at every comma, that say nothing of modules, spans or fields.
fn words(filter: &str) -> impl Iterator<Item = &str> {
    let parts = filter.split(',').map(str::trim);
    parts.filter(|part| !part.contains(['=', '[']))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::{Log, filter};

    #[test]
    fn libraries_speak_where_they_are_named() {
        for (level, speaks, is_close) in [
            ("info", false, false),
            ("debug", false, true),
            ("info,auth::kubernetes=debug", false, true),
            (
                "info,kube_client=debug,kube_runtime=warn,rustls_platform_verifier=error",
                true,
                false,
            ),
        ] {
            let filter = filter(&Log {
                level: level.to_owned(),
                ..Log::default()
            })
            .unwrap();
            let lines = Lines::default();
            let writer = lines.clone();
            let subscriber = tracing_subscriber::fmt()
                .with_env_filter(filter)
                .with_writer(move || writer.clone())
                .finish();
            tracing::subscriber::with_default(subscriber, || {
                tracing::error!(target: "kube_client::client::builder", "failed with error");
                tracing::warn!(target: "kube_client::client::tls", "failed to reload");
                tracing::warn!(target: "kube_runtime::watcher", "watcher error 403");
                tracing::error!(target: "rustls_platform_verifier::verification::others", "CaUsedAsEndEntity");
                tracing::error!(target: "auth::kubernetes::cluster", "does not decide");
                tracing::debug!(target: "auth::kubernetes::cluster", "asked");
            });
            let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
            assert_eq!(
                text.contains("failed with error"),
                speaks,
                "{level}: {text}"
            );
            assert_eq!(text.contains("403"), speaks, "{level}: {text}");
            let certificate = text.contains("CaUsedAsEndEntity");
            assert_eq!(certificate, speaks, "{level}: {text}");
            assert!(text.contains("failed to reload"), "{level}: {text}");
            assert!(text.contains("does not decide"), "{level}: {text}");
            assert_eq!(text.contains("asked"), is_close, "{level}: {text}");
        }
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(text)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

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
