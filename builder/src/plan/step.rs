//! The steps of a plan.

use oci::Digest;
use serde::{Deserialize, Serialize};

use crate::s2i::{ContainerPath, Origin, Reason, User};

/// A container of the build: an image's files, and what is done upon them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stage {
    /// Which one.
    pub name: StageName,
    /// What it stands on.
    pub base: Base,
    /// One after the other.
    pub steps: Vec<Step>,
    /// What an error in it means.
    pub if_it_fails: IfItFails,
}

/// The stages that a build can have, each at most once, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StageName {
    /// Upon the previous result: `save-artifacts`.
    Artifacts,
    /// Upon the builder image: `assemble`.
    Assemble,
    /// Upon the runtime image: what it takes of the built one, `assemble-runtime`.
    Runtime,
}

/// The image that a stage stands on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Base {
    /// Its manifest's digest.
    pub digest: Digest,
}

/// What an error in a stage means for the build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IfItFails {
    /// The build has failed.
    Stop,
    /// The build goes on as if the stage had given nothing, with a warning.
    GoOn,
}

/// One thing that is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Files come in.
    Place(Place),
    /// Files of an earlier stage come in.
    Copy(Copy),
    /// A program runs.
    Run(Run),
    /// Files and folders go. What is not there is no error.
    Remove(Vec<ContainerPath>),
}

/// Files that come in from outside. Written beneath the stage's root: no link in it is followed out of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Place {
    /// What.
    pub content: Content,
    /// The folder or file that it becomes; folders above are made.
    pub at: ContainerPath,
    /// To whom it belongs, looked up in the stage's image as for a process.
    pub owner: User,
}

/// What a [`Place`] puts there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// The source snapshot as a folder, less these paths of it.
    #[serde(rename_all = "camelCase")]
    Source {
        /// Paths from the source's root.
        without: Vec<String>,
    },
    /// A script as an executable file. Its origin is the source or the web.
    Script(Origin),
    /// What the stage [`StageName::Artifacts`] gave, as a folder. Nothing if it gave nothing.
    Artifacts,
    /// Files that the request names and that stay in the image.
    #[serde(rename_all = "camelCase")]
    Injection {
        /// Their name.
        name: String,
        /// Changes whenever their content does, as far as whoever keeps them says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revision: Option<String>,
    },
}

/// A file or folder of the stage [`StageName::Assemble`], with its name kept; folders become 0755, files 0644, or
/// 0755 if anyone may execute them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Copy {
    /// In that stage.
    pub from: ContainerPath,
    /// The folder in this one; it is made.
    pub into: ContainerPath,
}

/// A program that runs, without a shell of ours around it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Run {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// `NAME=VALUE`, complete.
    pub env: Vec<String>,
    /// Who runs it, looked up in the stage's image.
    pub user: User,
    /// Where it starts; made if it is not there.
    pub working_dir: ContainerPath,
    /// What it sees beside the stage's files. Nothing of it is in the result.
    pub mounts: Vec<Mount>,
    /// Whether its standard output is a tar that [`Content::Artifacts`] means; else it is the log's.
    pub output_is_artifacts: bool,
    /// The build's reason if it ends with an error.
    pub reason: Reason,
}

/// What a running program sees beside the stage's files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mount {
    /// A secret in memory, readable for the user that runs: files in a folder beside what is there.
    #[serde(rename_all = "camelCase")]
    Secret {
        /// Its name. What is in it is no part of a plan.
        name: String,
        /// Changes whenever its content does, as far as whoever keeps it says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revision: Option<String>,
        /// Where.
        at: ContainerPath,
    },
    /// The same for the running user to change: the run's own copy, gone with it.
    #[serde(rename_all = "camelCase")]
    Injection {
        /// Its name. What is in it is no part of a plan.
        name: String,
        /// Changes whenever its content does, as far as whoever keeps it says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revision: Option<String>,
        /// Where.
        at: ContainerPath,
    },
    /// A folder that outlives the build. One build at a time has it; another waits.
    #[serde(rename_all = "camelCase")]
    Cache {
        /// Which one, within the namespace.
        id: String,
        /// Which one it begins as a copy of, if it is new and that one is there: the default branch's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        /// Where.
        at: ContainerPath,
    },
}
