//! How errors become failures.

use std::io;

use crate::driver::Failure;
use crate::images::{ImagesError, ReadError};
use crate::records::{FailureReason, OwnReason};
use crate::room::{full, is_full};
use crate::s2i::{Reason, Refusal};
use crate::source::Fault;

use super::{BuildsError, Invalid, ProbeError};

/// What a driver fails of where the machine is at fault.
pub(super) const MACHINE: [&str; 3] = [
    OwnReason::SandboxUnavailable.as_str(),
    OwnReason::DiskPressure.as_str(),
    Reason::FileSystemOperationFailed.as_str(),
];

pub(super) fn failure(reason: impl Into<FailureReason>, message: impl Into<String>) -> Failure {
    Failure {
        reason: reason.into(),
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
            ImagesError::Forbidden(_) => OwnReason::Forbidden,
            ImagesError::Refused(_) => OwnReason::RegistryRefused,
            ImagesError::Unavailable(_) => OwnReason::RegistryUnavailable,
        };
        failure(reason, error.to_string())
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        failure(OwnReason::InvalidSpec, invalid.to_string())
    }
}

impl From<BuildsError> for Failure {
    fn from(error: BuildsError) -> Self {
        match error {
            BuildsError::Invalid(invalid) => invalid.into(),
            error => failure(OwnReason::RecordsUnavailable, error.to_string()),
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
        error => failure(OwnReason::SecretUnavailable, error.to_string()),
    }
}

/// An image that is not to be had: `reason` unless it is the registry's own fault.
pub(super) fn image(reason: Reason, error: ReadError) -> Failure {
    match error {
        ReadError::Images(error) => error.into(),
        ReadError::Broken { .. } => failure(OwnReason::RegistryUnavailable, error.to_string()),
        ReadError::Missing(_) | ReadError::Unusable(_) => failure(reason, error.to_string()),
    }
}

/// What no caller expects: a thread that ended, a disk that failed or is full.
pub(super) fn machine(what: &str, error: &io::Error) -> Failure {
    if is_full(error) {
        let message = full(&format!("{what}: {error}"));
        return failure(OwnReason::DiskPressure, message);
    }
    let reason = Reason::FileSystemOperationFailed;
    failure(reason, format!("{what}: {error}"))
}
