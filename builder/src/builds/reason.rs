//! Reasons of failed runs that are none of S2I's or of a source's, and how errors become failures.

use std::io;

use crate::driver::Failure;
use crate::images::{ImagesError, ReadError};
use crate::records::FailureReason;
use crate::room::is_full;
use crate::s2i::{Reason, Refusal};
use crate::source::Fault;

use super::{BuildsError, Invalid, ProbeError};

/// It waited longer than it may.
pub(super) const QUEUE_TIMEOUT: &str = "QueueTimeout";
/// It worked longer than it may.
pub(super) const RUN_TIMEOUT: &str = "RunTimeout";
/// The server ended while it was at work, more than once.
pub(super) const INTERRUPTED: &str = "Interrupted";
/// Its spec cannot be understood any more: the configuration has changed.
pub(super) const INVALID_SPEC: &str = "InvalidSpec";
/// A secret that it names is not to be had.
pub(super) const SECRET: &str = "SecretUnavailable";
/// Its actor may not do what it takes.
pub(super) const FORBIDDEN: &str = "Forbidden";
/// The registry will not do it.
pub(super) const REGISTRY_REFUSED: &str = "RegistryRefused";
/// The registry does not answer.
pub(super) const REGISTRY_UNAVAILABLE: &str = "RegistryUnavailable";
/// Records cannot be read or written.
pub(super) const RECORDS_UNAVAILABLE: &str = "RecordsUnavailable";
/// The kept source of an earlier run is not there any more.
pub(super) const SOURCE_NOT_FOUND: &str = "SourceNotFound";
/// This machine's disk is full.
const DISK_PRESSURE: &str = "DiskPressure";
/// What a driver fails of where the machine is at fault.
pub(super) const MACHINE: [&str; 3] = [
    "SandboxUnavailable",
    "FileSystemOperationFailed",
    DISK_PRESSURE,
];
/// Somebody wants it to end. No run has failed of it.
pub(super) const STOPPED: &str = "Stopped";

pub(super) fn failure(reason: &str, message: impl Into<String>) -> Failure {
    Failure {
        reason: FailureReason::from_word(reason.to_owned()),
        message: message.into(),
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self {
            reason: fault.class().into(),
            message: fault.to_string(),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self {
            reason: refusal.reason().into(),
            message: refusal.to_string(),
        }
    }
}

impl From<ImagesError> for Failure {
    fn from(error: ImagesError) -> Self {
        let reason = match &error {
            ImagesError::Forbidden(_) => FORBIDDEN,
            ImagesError::Refused(_) => REGISTRY_REFUSED,
            ImagesError::Unavailable(_) => REGISTRY_UNAVAILABLE,
        };
        failure(reason, error.to_string())
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        failure(INVALID_SPEC, invalid.to_string())
    }
}

impl From<BuildsError> for Failure {
    fn from(error: BuildsError) -> Self {
        match error {
            BuildsError::Invalid(invalid) => invalid.into(),
            error => failure(RECORDS_UNAVAILABLE, error.to_string()),
        }
    }
}

impl From<ProbeError> for Failure {
    fn from(error: ProbeError) -> Self {
        match error {
            ProbeError::Fault(fault) => fault.into(),
            ProbeError::Builds(error) => secret(error),
        }
    }
}

/// A secret that is not to be had.
pub(super) fn secret(error: BuildsError) -> Failure {
    match error {
        BuildsError::Unavailable(_) => error.into(),
        error => failure(SECRET, error.to_string()),
    }
}

/// An image that is not to be had: `reason` unless it is the registry's own fault.
pub(super) fn image(reason: Reason, error: ReadError) -> Failure {
    match error {
        ReadError::Images(error) => error.into(),
        ReadError::Broken { .. } => failure(REGISTRY_UNAVAILABLE, error.to_string()),
        ReadError::Missing(_) | ReadError::Unusable(_) => {
            failure(reason.as_str(), error.to_string())
        }
    }
}

/// What no caller expects: a thread that ended, a disk that failed or is full.
pub(super) fn machine(what: &str, error: &io::Error) -> Failure {
    if is_full(error) {
        let message =
            format!("the server's disk for builds (builder.dir) is full: {what}: {error}");
        return failure(DISK_PRESSURE, message);
    }
    let reason = Reason::FileSystemOperationFailed;
    failure(reason.as_str(), format!("{what}: {error}"))
}
