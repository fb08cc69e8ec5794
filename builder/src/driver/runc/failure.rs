//! Why a run has no result: the one table from what went wrong to a word for machines and a sentence for people.
//!
//! | what | reason |
//! | --- | --- |
//! | somebody cancelled | `Cancelled` |
//! | a program ended with an error | the step's own, such as `AssembleFailed` |
//! | … and the kernel had killed for memory | `OutOfMemory` |
//! | … and had refused processes, or it was stopped at work | `TooManyProcesses` |
//! | too much was written to disk | `DiskLimitExceeded` |
//! | it took too long | `TimedOut` |
//! | a program cannot be started, a user or mount does not fit the image | the step's own |
//! | the base image is missing, damaged, forbidden, or lacks the user that it names | `PullBuilderImageFailed` and its like, by stage |
//! | a script is not where the image says | `InstallScriptsFailed` |
//! | source, script or artifacts are not taken | `FetchSourceFailed`, `InstallScriptsFailed`, … |
//! | what the build left is no layer, or labels are wrong | `ContainerCommitFailed` |
//! | a secret is in the result | `SecretInResult` |
//! | there are more secrets than can be looked for | `TooManySecrets` |
//! | the test ended with an error | `TestFailed` |
//! | this machine lacks something | `SandboxUnavailable` |
//! | it had written the most of all at work when this machine's disk had less free than stays free | `Evicted`, by [`Writing`](crate::driver::Writing) |
//! | this machine's disk is full or has less free than stays free, or was full while a program ran that ended with an error | `DiskPressure` |
//! | this machine's disk or a program of it failed | `FileSystemOperationFailed` |

use std::io;
use std::time::Duration;

use super::super::Failure;
use crate::images::ReadError;
use crate::layer::ExportError;
use crate::plan::StageName;
use crate::records::{FailureReason, OwnReason};
use crate::room::{NoRoom, full, is_full};
use crate::rootfs::{FilesError, UnpackError};
use crate::s2i::{ASSEMBLE_USER, Reason, Refusal, SCRIPTS_URL};
use crate::sandbox::{self, Limits, Outcome, SandboxError, UNMEASURED};

pub(super) fn new(reason: impl Into<FailureReason>, message: impl Into<String>) -> Failure {
    Failure {
        reason: reason.into(),
        message: message.into(),
    }
}

pub(super) fn cancelled() -> Failure {
    new(OwnReason::Cancelled, "the run was cancelled")
}

pub(super) fn timed_out(limit: Option<Duration>) -> Failure {
    let after = limit.map_or(String::new(), |limit| format!(" in {} s", limit.as_secs()));
    new(
        OwnReason::TimedOut,
        format!("the build did not end{after}: raise limits.seconds (--timeout), or do less"),
    )
}

/// A program that was stopped after it had been refused processes.
pub(super) fn endless(refusals: u64, limit: Option<u32>) -> Failure {
    new(
        OwnReason::TooManyProcesses,
        format!(
            "it was refused a process or thread {refusals} times, for it has no more than its limit{}, and did not end: raise \
             limits.pids, or start fewer",
            number(limit)
        ),
    )
}

fn mebibytes(limit: Option<u64>) -> String {
    limit.map_or(String::new(), |limit| format!(" of {} MiB", limit >> 20))
}

fn number(limit: Option<u32>) -> String {
    limit.map_or(String::new(), |limit| format!(" of {limit}"))
}

pub(super) fn secret(message: String) -> Failure {
    new(OwnReason::SecretInResult, message)
}

/// More secrets than can be looked for in what a build leaves.
pub(super) fn too_many_secrets() -> Failure {
    new(
        OwnReason::TooManySecrets,
        "the build's secrets have more files than can be looked for in its result (some 80 long ones): give it only those that \
         it needs",
    )
}

pub(super) fn test() -> FailureReason {
    OwnReason::TestFailed.into()
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
    of_disk(error, format!("{what}: {error}"))
}

/// A call that failed, in these words: for want of room, or for another fault of this machine.
fn of_disk(error: &io::Error, message: String) -> Failure {
    if is_full(error) {
        return new(OwnReason::DiskPressure, full(&message));
    }
    new(Reason::FileSystemOperationFailed, message)
}

/// This machine's disk is nearly full.
pub(super) fn no_room(error: &NoRoom) -> Failure {
    new(OwnReason::DiskPressure, error.to_string())
}

/// A program that ended with an error while this machine's disk was full: its words are of that.
pub(super) fn full_disk(program: &str, free: u64) -> Failure {
    new(
        OwnReason::DiskPressure,
        format!(
            "{program} ended with an error when the server's disk for builds (builder.dir) had {} MiB left: free some of it, or \
             let more be kept free (builder.minFreeBytes), then ask again",
            free >> 20
        ),
    )
}

/// A program that ran and did not succeed; `program` is its file name, `limits` are those of the whole run.
pub(super) fn program(
    reason: FailureReason,
    program: &str,
    outcome: &Outcome,
    limits: &Limits,
) -> Failure {
    match outcome.reason {
        sandbox::Reason::Cancelled => cancelled(),
        sandbox::Reason::TimedOut => timed_out(limits.wall),
        sandbox::Reason::OutOfMemory => new(
            OwnReason::OutOfMemory,
            format!(
                "{program} used more memory than its limit{}: raise limits.memoryBytes (--memory), or use less",
                mebibytes(limits.memory)
            ),
        ),
        sandbox::Reason::TooManyProcesses => new(
            OwnReason::TooManyProcesses,
            format!(
                "{program} started more processes and threads than its limit{}: raise limits.pids (--pids), or start fewer",
                number(limits.processes)
            ),
        ),
        sandbox::Reason::DiskFull => new(
            OwnReason::DiskLimitExceeded,
            format!(
                "{program} wrote more to disk than its limit{}: raise limits.diskBytes (--disk), or write less",
                mebibytes(limits.disk)
            ),
        ),
        sandbox::Reason::DiskUnmeasured => new(
            OwnReason::DiskLimitExceeded,
            format!("{program} was ended: {UNMEASURED}"),
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

/// What a program that succeeded had to live with: what it made may not be whole.
pub(super) fn endured(outcome: &Outcome, limits: &Limits) -> Vec<String> {
    let usage = &outcome.usage;
    let met = [
        (
            usage.memory_kills,
            "processes were killed for memory",
            mebibytes(limits.memory),
            "limits.memoryBytes (--memory)",
        ),
        (
            usage.process_refusals,
            "processes or threads were refused",
            number(limits.processes),
            "limits.pids (--pids)",
        ),
    ];
    let endured = met
        .into_iter()
        .filter(|(count, ..)| *count > 0 && outcome.succeeded());
    let said = endured.map(|(count, what, limit, key)| {
        format!(
            "{what} ({count}, limit{limit}), and the build went on: if the result is not whole, raise {key}"
        )
    });
    said.collect()
}

/// A program that could not be run.
pub(super) fn sandbox(reason: FailureReason, program: &str, error: &SandboxError) -> Failure {
    match error {
        SandboxError::Unsupported(_) | SandboxError::NotInForce { .. } => {
            new(OwnReason::SandboxUnavailable, error.to_string())
        }
        SandboxError::Refused(_) | SandboxError::NotStarted(_) => {
            new(reason, format!("{program} could not be run: {error}"))
        }
        SandboxError::Io { source, .. } => of_disk(source, error.to_string()),
        SandboxError::Tool { .. } | SandboxError::Undead { .. } => {
            new(Reason::FileSystemOperationFailed, error.to_string())
        }
    }
}

/// A user of a stage who is not in its image.
pub(super) fn user(stage: StageName, error: &FilesError) -> Failure {
    let FilesError::Refused(why) = error else {
        return files(pulling(stage), "the users of the image", error);
    };
    new(
        pulling(stage),
        format!(
            "{}: {why}; its USER, its label {ASSEMBLE_USER} or the build's assembleUser says so: name one who is there, or a \
             number, or add the user to the image",
            called(stage)
        ),
    )
}

/// A script that is not where it should be in its image.
pub(super) fn no_script(stage: StageName, path: &str) -> Failure {
    new(
        Reason::InstallScriptsFailed,
        format!(
            "{} has no {path}: its label {SCRIPTS_URL}, or the build's scriptsUrl where that is given, says that the script is \
             there; mend what it says, or put the script into the image or the source's .s2i/bin",
            called(stage)
        ),
    )
}

fn called(stage: StageName) -> &'static str {
    match stage {
        StageName::Artifacts => "the previous image",
        StageName::Assemble => "the builder image",
        StageName::Runtime => "the runtime image",
    }
}

/// Files that did not come in or out.
pub(super) fn files(reason: Reason, what: &str, error: &FilesError) -> Failure {
    match error {
        FilesError::Cancelled => cancelled(),
        FilesError::Missing(_) | FilesError::Refused(_) | FilesError::TooLarge(_) => {
            new(reason, format!("{what}: {error}"))
        }
        FilesError::Disk { source, .. } => of_disk(source, format!("{what}: {error}")),
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
        UnpackError::Disk { source, .. } => of_disk(source, error.to_string()),
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
            of_disk(source, error.to_string())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::Usage;

    #[test]
    fn what_nobody_could_measure_is_not_put_down_to_the_limit() {
        let outcome = Outcome {
            exit: None,
            reason: sandbox::Reason::DiskUnmeasured,
            usage: Usage::default(),
            left_behind: Vec::new(),
        };
        let reason = Reason::AssembleFailed.into();
        let failure = program(reason, "assemble", &outcome, &Limits::default());
        assert_eq!(failure.reason.as_str(), "DiskLimitExceeded");
        assert!(
            failure.message.contains("under way between sockets"),
            "{}",
            failure.message
        );
        assert!(!failure.message.contains("--disk"), "{}", failure.message);
    }
}
