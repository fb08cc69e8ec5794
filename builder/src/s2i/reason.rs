//! Why a build failed, in the words that users of S2I know.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The machine-readable reason of a failed build: the `s2i` program's names (its package `util/status`), but
/// those of Dockerfiles, which are not made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "S2iReason")]
pub enum Reason {
    /// `assemble` ended with an error.
    AssembleFailed,
    /// The builder image is not to be had.
    PullBuilderImageFailed,
    /// The runtime image is not to be had.
    PullRuntimeImageFailed,
    /// The previous image is not to be had. The build goes on without its artifacts.
    PullPreviousImageFailed,
    /// The result could not be made an image; its labels are too long, for instance.
    ContainerCommitFailed,
    /// The source is not to be had.
    FetchSourceFailed,
    /// What shall go into the runtime image is not said, or not well.
    InvalidArtifactsMapping,
    /// The scripts' URL gave no script.
    FetchScriptsFailed,
    /// An artifact is not in the built image.
    FetchRuntimeArtifactsFailed,
    /// Files could not be written or read.
    FileSystemOperationFailed,
    /// A script that must be there is nowhere.
    InstallScriptsFailed,
    /// None of the others.
    GenericS2IBuildFailed,
    /// The builder image has `ONBUILD` instructions.
    OnBuildForbidden,
    /// The user of `assemble` is none of those who are allowed.
    AssembleUserForbidden,
}

impl Reason {
    /// The name, as the `s2i` program writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AssembleFailed => "AssembleFailed",
            Self::PullBuilderImageFailed => "PullBuilderImageFailed",
            Self::PullRuntimeImageFailed => "PullRuntimeImageFailed",
            Self::PullPreviousImageFailed => "PullPreviousImageFailed",
            Self::ContainerCommitFailed => "ContainerCommitFailed",
            Self::FetchSourceFailed => "FetchSourceFailed",
            Self::InvalidArtifactsMapping => "InvalidArtifactsMapping",
            Self::FetchScriptsFailed => "FetchScriptsFailed",
            Self::FetchRuntimeArtifactsFailed => "FetchRuntimeArtifactsFailed",
            Self::FileSystemOperationFailed => "FileSystemOperationFailed",
            Self::InstallScriptsFailed => "InstallScriptsFailed",
            Self::GenericS2IBuildFailed => "GenericS2IBuildFailed",
            Self::OnBuildForbidden => "OnBuildForbidden",
            Self::AssembleUserForbidden => "AssembleUserForbidden",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A build that will not be tried or cannot go on: the reason for machines and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    reason: Reason,
    message: String,
}

impl Refusal {
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }

    /// The reason.
    pub fn reason(&self) -> Reason {
        self.reason
    }
}
