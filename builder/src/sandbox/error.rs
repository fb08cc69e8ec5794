//! Why a process could not be run at all.

use std::io;
use std::path::PathBuf;

use super::output;

/// A run that has no outcome. What the process itself did wrong is an [`Outcome`](super::Outcome), not an error.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// This machine lacks something; the text says what and how to get it.
    #[error("the sandbox cannot run here: {0}")]
    Unsupported(String),
    /// The request cannot be run in this root: a user that is not in it, a mount over a file. The requester can mend it.
    #[error("{0}")]
    Refused(String),
    /// The runtime did not start the process; usually the program is not in the root.
    #[error("the process could not be started: {0}")]
    NotStarted(String),
    /// A limit is not in force although it was set.
    #[error("limit {limit} is not in force: asked for {asked}, the kernel has {found}")]
    NotInForce {
        /// The file of the limit.
        limit: String,
        /// What was written.
        asked: String,
        /// What was read.
        found: String,
    },
    /// A program of the host failed.
    #[error("{program}: {message}")]
    Tool {
        /// Which.
        program: String,
        /// The end of what it said.
        message: String,
    },
    /// The host's file system or kernel refused.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Processes of the run are still there after they were killed.
    #[error("processes of the run did not end after they were killed; its cgroup is {}", cgroup.display())]
    Undead {
        /// Where they are.
        cgroup: PathBuf,
    },
}

impl SandboxError {
    /// With the words of a request or an image in it, which must not reach a log as they are.
    pub(super) fn refused(message: impl AsRef<str>) -> Self {
        Self::Refused(output::plain(message.as_ref().as_bytes()))
    }

    /// For `map_err`: names what was tried.
    pub(super) fn io<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what: String = what.into();
        let what = output::plain(what.as_bytes());
        move |source| Self::Io {
            what,
            source: source.into(),
        }
    }
}
