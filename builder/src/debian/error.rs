//! Why an image was not made.

use std::io;
use std::process::ExitStatus;

use crate::layer::ExportError;

/// An image that was not made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// This machine lacks something that can be installed.
    #[error("{0}")]
    Missing(String),
    /// This machine's processor is none that is known here.
    #[error("{0}: no Debian architecture is known for this machine")]
    Machine(&'static str),
    /// Debian was not installed; the log has the reason, most often packages that are not to be had.
    #[error("Debian could not be installed ({ended}){}", last(log))]
    Bootstrap {
        /// The last lines of the tool.
        log: Vec<String>,
        /// How it ended.
        ended: ExitStatus,
    },
    /// The suite has another version than is known here.
    #[error("{package} is {found} in {suite}, and {wanted} was to be had")]
    OtherVersion {
        /// The Debian package.
        package: String,
        /// Its version.
        found: String,
        /// The suite.
        suite: String,
        /// What was wanted.
        wanted: String,
    },
    /// A layer could not be written.
    #[error(transparent)]
    Layer(#[from] ExportError),
    /// The system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was done, or the file.
        what: String,
        /// Why not.
        source: io::Error,
    },
}

/// The line that says most.
fn last(log: &[String]) -> String {
    let is_error = |line: &&String| line.starts_with("E: ");
    let line = log.iter().find(is_error).or(log.last());
    line.map_or_else(String::new, |line| format!(": {line}"))
}

impl CreateError {
    pub(super) fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self::Io {
            what: what.into(),
            source,
        }
    }
}
