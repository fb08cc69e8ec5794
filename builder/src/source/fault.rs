//! Why a source is not to be had.

use std::fmt;

use schemars::JsonSchema;

use crate::room::{PRESSURE, is_full};

/// The machine-readable class of a failed fetch: Shipwright's names (its `pkg/git/error_parser.go`) for what it tells
/// apart, and some more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, JsonSchema)]
#[schemars(rename = "SourceReason")]
pub enum FaultClass {
    /// The user or password was refused.
    GitAuthInvalidUserOrPass,
    /// The key was refused.
    GitAuthInvalidKey,
    /// There is no such branch, tag or commit.
    GitRevisionNotFound,
    /// The commit has no folder of the name that is to be built.
    SourceContextDirNotFound,
    /// There is no such repository, or it is hidden from this credential.
    GitRemoteRepositoryNotFound,
    /// The server wants a credential and none was given.
    GitRemoteRepositoryPrivate,
    /// A user without a password, or the reverse.
    GitBasicAuthIncomplete,
    /// A key was given for an https URL.
    GitSSHAuthUnexpected,
    /// A user and password were given for an ssh URL.
    GitSSHAuthExpected,
    /// The ssh server's key is not among the known ones.
    GitHostKeyUnknown,
    /// The ssh server has another key than the one that is known.
    GitHostKeyChanged,
    /// The server's certificate is not trusted.
    GitCertificateUntrusted,
    /// The server cannot be reached.
    GitRemoteUnreachable,
    /// The address is one that builds may not reach.
    AddressForbidden,
    /// More than the limits allow.
    SourceTooLarge,
    /// It took longer than it may.
    SourceTimedOut,
    /// The source holds what no honest one does, or what cannot be built.
    SourceRefused,
    /// Anything else that git did not do.
    GitError,
    /// This machine's disk is full.
    DiskPressure,
    /// This machine: no `git`, for instance.
    Machine,
}

impl FaultClass {
    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GitAuthInvalidUserOrPass => "GitAuthInvalidUserOrPass",
            Self::GitAuthInvalidKey => "GitAuthInvalidKey",
            Self::GitRevisionNotFound => "GitRevisionNotFound",
            Self::SourceContextDirNotFound => "SourceContextDirNotFound",
            Self::GitRemoteRepositoryNotFound => "GitRemoteRepositoryNotFound",
            Self::GitRemoteRepositoryPrivate => "GitRemoteRepositoryPrivate",
            Self::GitBasicAuthIncomplete => "GitBasicAuthIncomplete",
            Self::GitSSHAuthUnexpected => "GitSSHAuthUnexpected",
            Self::GitSSHAuthExpected => "GitSSHAuthExpected",
            Self::GitHostKeyUnknown => "GitHostKeyUnknown",
            Self::GitHostKeyChanged => "GitHostKeyChanged",
            Self::GitCertificateUntrusted => "GitCertificateUntrusted",
            Self::GitRemoteUnreachable => "GitRemoteUnreachable",
            Self::AddressForbidden => "AddressForbidden",
            Self::SourceTooLarge => "SourceTooLarge",
            Self::SourceTimedOut => "SourceTimedOut",
            Self::SourceRefused => "SourceRefused",
            Self::GitError => "GitError",
            Self::DiskPressure => PRESSURE,
            Self::Machine => "Machine",
        }
    }
}

impl fmt::Display for FaultClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A source that is not to be had: the class for machines, a sentence for people that says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    class: FaultClass,
    message: String,
    is_lost: bool,
}

impl Fault {
    pub(crate) fn new(class: FaultClass, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            is_lost: false,
        }
    }

    /// What was fetched is not there, or cannot be read.
    pub(crate) fn lost(message: impl Into<String>) -> Self {
        Self {
            is_lost: true,
            ..Self::new(FaultClass::GitError, message)
        }
    }

    /// What no honest source holds.
    pub(crate) fn hostile(message: impl Into<String>) -> Self {
        Self::new(FaultClass::SourceRefused, message)
    }

    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new(FaultClass::SourceTooLarge, message)
    }

    /// Nobody waits for it any more.
    pub(crate) fn stopped() -> Self {
        Self::new(FaultClass::Machine, "reading the source was stopped")
    }

    /// This machine's files.
    pub(crate) fn machine(what: &str, error: &std::io::Error) -> Self {
        if is_full(error) {
            // A client's, where that makes a snapshot.
            let message = format!("the disk is full: {what}: {error}");
            return Self::new(FaultClass::DiskPressure, message);
        }
        Self::new(FaultClass::Machine, format!("{what}: {error}"))
    }

    /// The class.
    pub fn class(&self) -> FaultClass {
        self.class
    }

    /// Whether it may be otherwise once the same is fetched into a new place.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost
    }
}
