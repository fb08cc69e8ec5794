//! Why a run has no result: the one table from what went wrong to a word for machines and a sentence for people.
//!
//! | what | reason |
//! | --- | --- |
//! | somebody cancelled | `Cancelled` |
//! | a program ended with an error | the step's own, such as `AssembleFailed` |
//! | … and the kernel had killed for memory | `OutOfMemory` |
//! | … and had refused processes | `TooManyProcesses` |
//! | too much was written to disk | `DiskLimitExceeded` |
//! | it took too long | `TimedOut` |
//! | a program cannot be started, a user or mount does not fit the image | the step's own |
//! | the base image is missing, damaged, forbidden | `PullBuilderImageFailed` and its like, by stage |
//! | source, script or artifacts are not taken | `FetchSourceFailed`, `InstallScriptsFailed`, … |
//! | what the build left is no layer, or labels are wrong | `ContainerCommitFailed` |
//! | a secret is in the result | `SecretInResult` |
//! | there are more secrets than can be looked for | `TooManySecrets` |
//! | the test ended with an error | `TestFailed` |
//! | this machine lacks something | `SandboxUnavailable` |
//! | this machine's disk is full, or has less free than stays free | `DiskPressure` |
//! | this machine's disk or a program of it failed | `FileSystemOperationFailed` |

use std::io;
use std::time::Duration;

use super::super::Failure;
use crate::images::ReadError;
use crate::layer::ExportError;
use crate::plan::StageName;
use crate::records::FailureReason;
use crate::room::NoRoom;
use crate::rootfs::{FilesError, UnpackError};
use crate::s2i::{Reason, Refusal};
use crate::sandbox::{self, Limits, Outcome, SandboxError};

pub(super) fn new(reason: impl Into<FailureReason>, message: impl Into<String>) -> Failure {
    Failure {
        reason: reason.into(),
        message: message.into(),
    }
}

fn word(word: &str) -> FailureReason {
    FailureReason::from_word(word.to_owned())
}

pub(super) fn cancelled() -> Failure {
    new(word("Cancelled"), "the run was cancelled")
}

pub(super) fn timed_out(limit: Option<Duration>) -> Failure {
    let after = limit.map_or(String::new(), |limit| format!(" in {} s", limit.as_secs()));
    new(
        word("TimedOut"),
        format!("the build did not end{after}: raise limits.seconds (--timeout), or do less"),
    )
}

pub(super) fn secret(message: String) -> Failure {
    new(word("SecretInResult"), message)
}

/// More secrets than can be looked for in what a build leaves.
pub(super) fn too_many_secrets() -> Failure {
    new(
        word("TooManySecrets"),
        "the build's secrets have more files than can be looked for in its result (some 80 long ones): give it only those that \
         it needs",
    )
}

pub(super) fn test() -> FailureReason {
    word("TestFailed")
}

/// A fault of ours.
pub(super) fn internal(message: &str) -> Failure {
    new(
        Reason::GenericS2IBuildFailed,
        format!("the builder broke off: {message}"),
    )
}

/// This machine failed.
pub(super) fn machine(what: &str, error: &io::Error) -> Failure {
    new(of_disk(error), format!("{what}: {error}"))
}

/// A disk that is full is another's to mend than one that fails.
fn of_disk(error: &io::Error) -> FailureReason {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => word("DiskPressure"),
        _ => Reason::FileSystemOperationFailed.into(),
    }
}

/// This machine's disk is nearly full.
pub(super) fn no_room(error: &NoRoom) -> Failure {
    new(word("DiskPressure"), error.to_string())
}

/// A program that ran and did not succeed; `program` is its file name, `limits` are those of the whole run.
pub(super) fn program(
    reason: FailureReason,
    program: &str,
    outcome: &Outcome,
    limits: &Limits,
) -> Failure {
    let limited = |limit: Option<u64>| {
        limit.map_or(String::new(), |limit| format!(" of {} MiB", limit >> 20))
    };
    match outcome.reason {
        sandbox::Reason::Cancelled => cancelled(),
        sandbox::Reason::TimedOut => timed_out(limits.wall),
        sandbox::Reason::OutOfMemory => new(
            word("OutOfMemory"),
            format!(
                "{program} used more memory than its limit{}: raise limits.memoryBytes (--memory), or use less",
                limited(limits.memory)
            ),
        ),
        sandbox::Reason::TooManyProcesses => new(
            word("TooManyProcesses"),
            format!(
                "{program} started more processes and threads than its limit: raise limits.pids"
            ),
        ),
        sandbox::Reason::DiskFull => new(
            word("DiskLimitExceeded"),
            format!(
                "{program} wrote more to disk than its limit{}: raise limits.diskBytes (--disk), or write less",
                limited(limits.disk)
            ),
        ),
        sandbox::Reason::Succeeded | sandbox::Reason::Failed => {
            let code = match outcome.exit {
                Some(code) if code > 128 => format!("signal {}", code - 128),
                Some(code) => format!("exit code {code}"),
                None => "no exit code".to_owned(),
            };
            new(
                reason,
                format!("{program} ended with {code}; the log has its output"),
            )
        }
    }
}

/// A program that could not be run.
pub(super) fn sandbox(reason: FailureReason, program: &str, error: &SandboxError) -> Failure {
    match error {
        SandboxError::Unsupported(_) | SandboxError::NotInForce { .. } => {
            new(word("SandboxUnavailable"), error.to_string())
        }
        SandboxError::Refused(_) | SandboxError::NotStarted(_) => {
            new(reason, format!("{program} could not be run: {error}"))
        }
        SandboxError::Tool { .. } | SandboxError::Io { .. } | SandboxError::Undead { .. } => {
            new(Reason::FileSystemOperationFailed, error.to_string())
        }
    }
}

/// Files that did not come in or out.
pub(super) fn files(reason: Reason, what: &str, error: &FilesError) -> Failure {
    match error {
        FilesError::Cancelled => cancelled(),
        FilesError::Missing(_) | FilesError::Refused(_) | FilesError::TooLarge(_) => {
            new(reason, format!("{what}: {error}"))
        }
        FilesError::Disk { source, .. } => new(of_disk(source), format!("{what}: {error}")),
    }
}

/// A base image that is not to be had.
pub(super) fn image(stage: StageName, error: &ReadError) -> Failure {
    new(pulling(stage), error.to_string())
}

/// A base image's layers that were not unpacked.
pub(super) fn layers(stage: StageName, error: &UnpackError) -> Failure {
    match error {
        UnpackError::Cancelled => cancelled(),
        UnpackError::NoRoom(error) => no_room(error),
        UnpackError::Disk { source, .. } => new(of_disk(source), error.to_string()),
        _ => new(pulling(stage), error.to_string()),
    }
}

fn pulling(stage: StageName) -> Reason {
    match stage {
        StageName::Artifacts => Reason::PullPreviousImageFailed,
        StageName::Assemble => Reason::PullBuilderImageFailed,
        StageName::Runtime => Reason::PullRuntimeImageFailed,
    }
}

pub(super) fn export(error: &ExportError) -> Failure {
    match error {
        ExportError::Cancelled => cancelled(),
        ExportError::Read { source, .. } | ExportError::Sink(source) => {
            new(of_disk(source), error.to_string())
        }
        ExportError::Refused { .. } | ExportError::TooLarge { .. } => new(
            Reason::ContainerCommitFailed,
            format!("what the build left cannot be an image's layer: {error}"),
        ),
    }
}

pub(super) fn refusal(refusal: &Refusal) -> Failure {
    new(refusal.reason(), refusal.to_string())
}
