//! What becomes of a run that is at work no more, and what its log says of it.

use super::live::{Stop, Why};
use super::reason::failure;
use crate::driver::Failure;
use crate::records::{OwnReason, Run, RunResult};

/// What becomes of a run that is at work no more.
pub(super) enum Ending {
    Succeeded(RunResult),
    Failed(Failure),
    Cancelled(String),
    Waits,
    /// It may have been published: the next server asks the registry by the result that is noted.
    Unknown,
}

impl Ending {
    pub(super) fn of(outcome: Result<RunResult, Failure>, stop: &Stop, run: &Run) -> Self {
        let error = match outcome {
            // Somebody's wish came too late.
            Ok(result) => return Self::Succeeded(result),
            Err(error) => error,
        };
        if stop.server_ends() && run.result.is_some() {
            return Self::Unknown;
        }
        match stop.why() {
            None => Self::Failed(error),
            Some(Why::Cancelled(by)) => Self::Cancelled(by.clone()),
            Some(Why::ServerEnds) => Self::Waits,
            Some(Why::TimedOut) => {
                let seconds = run.spec.timeouts.run;
                let limit = seconds.map_or_else(
                    || "this server's configuration allows".to_owned(),
                    |seconds| format!("the {seconds} seconds of spec.timeouts.run (--timeout)"),
                );
                let message = format!(
                    "it took longer than {limit}: the log's last lines say where; allow more time, or give it a cache"
                );
                // Why it had no end, if the driver knows.
                if error.reason == OwnReason::TooManyProcesses.into() {
                    let message = format!("{}; {message}", error.message);
                    return Self::Failed(Failure { message, ..error });
                }
                Self::Failed(failure(OwnReason::RunTimeout, message))
            }
        }
    }

    /// The log's last line.
    pub(super) fn said(&self) -> String {
        match self {
            Self::Succeeded(result) if result.tags.is_empty() => {
                format!("built {}", result.image)
            }
            Self::Succeeded(result) => {
                format!("published {} as {}", result.image, result.tags.join(", "))
            }
            Self::Failed(failure) => format!("{}: {}", failure.reason, failure.message),
            Self::Cancelled(by) => format!("cancelled by {by}"),
            Self::Waits => "the server ends: this run will begin anew".to_owned(),
            Self::Unknown => "the server ends before the registry has said whether the image is published: the next one \
                              looks"
                .to_owned(),
        }
    }
}
