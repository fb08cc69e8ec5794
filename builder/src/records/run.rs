//! A run: one try to build something.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Actor, BuildSpec, FailureReason, HookKind, Metadata};
use crate::driver::{Phase, Used};

/// A run. What it was asked to do never changes; what became of it does until it has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Run {
    /// Name and place.
    pub metadata: Metadata,
    /// What no other run has, nor one of the same name after this is gone.
    pub uid: String,
    /// The build that it is one of; `None` if it stands alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// With whose rights.
    pub actor: Actor,
    /// Why.
    pub cause: Cause,
    /// Of a run that is to reproduce another: what is known of that one, which may go meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<Against>,
    /// What, as the build had it when the run was asked for.
    pub spec: BuildSpec,
    /// When it was asked for, in milliseconds since 1970.
    #[serde(default)]
    pub asked: u64,
    /// Whether it runs even if the same plan has a result already.
    #[serde(default)]
    pub fresh: bool,
    /// Whether its caches begin empty.
    #[serde(default)]
    pub no_cache: bool,
    /// How often it was begun; more than once if the server ended while it was at work.
    #[serde(default)]
    pub attempts: u32,
    /// What the names in it turned out to be.
    #[serde(default)]
    pub resolved: Resolved,
    /// How far it is.
    pub state: State,
    /// Its parts, in their order.
    #[serde(default)]
    pub phases: Vec<PhaseTiming>,
    /// When it began, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<u64>,
    /// When it ended, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<u64>,
    /// Who wants it to end, if somebody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<String>,
    /// What came out. While it is at work: what it is about to publish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<RunResult>,
}

/// Why a run is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "kind", deny_unknown_fields)]
pub enum Cause {
    /// Somebody asked for it.
    #[serde(rename_all = "camelCase")]
    Asked {
        /// Who.
        by: String,
    },
    /// A webhook was called.
    #[serde(rename_all = "camelCase")]
    Webhook {
        /// By whom.
        from: HookKind,
        /// The call's id, if it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delivery: Option<String>,
        /// The commit that it was about, if it said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        commit: Option<String>,
    },
    /// An image that the build stands on is another.
    #[serde(rename_all = "camelCase")]
    ImageMoved {
        /// Its name.
        image: String,
        /// What the newest result was built with.
        from: String,
        /// What it is now.
        to: String,
        /// The builds, `namespace/name`, whose runs led to this one, each by an image that it made, the first one first. Who
        /// looks sees those of the run's namespace, and of each other `*`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        chain: Vec<String>,
    },
    /// It was time.
    Schedule,
    /// An earlier run is done again.
    #[serde(rename_all = "camelCase")]
    Again {
        /// Which.
        run: String,
        /// With the same source, builder image and environment, to see whether the same comes out.
        same: bool,
        /// Who asked for it.
        by: String,
    },
}

impl Cause {
    /// What those who see the runs of a namespace are shown of it: of builds in others that there are some, `*`, and no name.
    #[must_use]
    pub fn seen_in(mut self, namespace: &str) -> Self {
        if let Self::ImageMoved { chain, .. } = &mut self {
            for build in chain {
                let of = build.split_once('/').map(|(namespace, _)| namespace);
                if of != Some(namespace) {
                    "*".clone_into(build);
                }
            }
        }
        self
    }
}

/// What a run is held against that is to reproduce an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Against {
    /// What went into that one.
    pub resolved: Resolved,
    /// The image that it made, `repository@digest`.
    pub image: String,
}

/// What the names in a spec turned out to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resolved {
    /// The commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The source snapshot that is kept, `repository@digest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The scripts that came from a URL, which are kept, `repository@digest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scripts: Option<String>,
    /// The builder image, `repository@digest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builder: Option<String>,
    /// What the builder image is called in the result's labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builder_name: Option<String>,
    /// The runtime image, `repository@digest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// The image that artifacts were taken over from, `repository@digest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// The digest of all that was to be done: runs with the same plan did the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// What else the plan is made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingredients: Option<Ingredients>,
    /// The time that no file of the result is younger than, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
}

/// What a plan is made of beside source and images, so that two runs can be told apart by it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ingredients {
    /// The scripts that came from a URL, by name: their digests.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scripts: BTreeMap<String, String>,
    /// The secrets, by name: what changes whenever one is set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
    /// The digest of all else.
    pub settings: String,
}

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "is", deny_unknown_fields)]
pub enum State {
    /// It waits.
    Queued,
    /// It is at work.
    Running,
    /// It is published.
    Succeeded,
    /// It is not, and will not be.
    #[serde(rename_all = "camelCase")]
    Failed {
        /// For machines.
        reason: FailureReason,
        /// For people.
        message: String,
    },
    /// Nobody wanted it any more.
    #[serde(rename_all = "camelCase")]
    Cancelled {
        /// By whom or by what.
        by: String,
    },
}

/// How far a run is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum StateKind {
    /// It waits.
    Queued,
    /// It is at work.
    Running,
    /// It is published.
    Succeeded,
    /// It is not, and will not be.
    Failed,
    /// Nobody wanted it any more.
    Cancelled,
}

impl State {
    /// In one word.
    pub fn kind(&self) -> StateKind {
        match self {
            Self::Queued => StateKind::Queued,
            Self::Running => StateKind::Running,
            Self::Succeeded => StateKind::Succeeded,
            Self::Failed { .. } => StateKind::Failed,
            Self::Cancelled { .. } => StateKind::Cancelled,
        }
    }

    /// Whether nothing will become of it any more.
    pub fn has_ended(&self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// When a part of a run began and ended, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PhaseTiming {
    /// Which.
    pub phase: Phase,
    /// When it began.
    pub started: u64,
    /// When it ended; absent while it is at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<u64>,
}

/// What came out of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunResult {
    /// The image, `repository@digest`.
    pub image: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// The layer's length in bytes; 0 if nothing was changed.
    pub layer_bytes: u64,
    /// Whether it is the same image that the run before it made, or that the run which it does again made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_as: Option<String>,
    /// Of a run that was to reproduce another and did not: what differs, a sentence each, first of what went in and then of what
    /// came out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differs: Vec<String>,
    /// Whether nothing was run because the same plan had a result already.
    #[serde(default)]
    pub reused: bool,
    /// What it used up.
    pub used: Used,
}
