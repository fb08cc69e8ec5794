//! A build: what is built again and again.

use std::time::SystemTime;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Actor, BuildSpec};

/// What is known of every record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// The namespace: the first part of repositories' names.
    pub namespace: String,
    /// The name, unique among its kind there: lower-case letters, digits and `-`, at most 63.
    pub name: String,
    /// Seconds since 1970.
    pub created: u64,
}

impl Metadata {
    /// When it was made.
    pub fn created(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(self.created)
    }
}

/// A build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Build {
    /// Name and place.
    pub metadata: Metadata,
    /// Whose rights runs have that no person started.
    pub owner: Actor,
    /// What is built.
    pub spec: BuildSpec,
    /// What is known of it.
    #[serde(default)]
    pub status: Status,
}

/// What is known of a build.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Status {
    /// The number of the newest run; runs are named `<build>-<number>`.
    #[serde(default)]
    pub runs: u64,
    /// The name of the newest run that succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succeeded: Option<String>,
    /// The digest of what it built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The builder image at that time, `repository@digest`: another one there is a reason to build anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builder: Option<String>,
    /// When the schedule last came due, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled: Option<u64>,
    /// The images that have moved since that success and for which a run was started: it is not tried again before one moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried: Option<Tried>,
    /// What keeps the schedule, or an image that has moved, from starting a run; absent: nothing did when it was last due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<Missed>,
}

/// What a build was last tried with, of the images that have moved since its newest success; each as `repository@digest`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tried {
    /// The builder image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builder: Option<String>,
    /// The runtime image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
}

/// A time of the schedule, or a move of an image, at which no run could be started. It is made up for as soon as one can.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Missed {
    /// Since when it cannot, in seconds since 1970.
    pub since: u64,
    /// Why.
    pub why: String,
}
