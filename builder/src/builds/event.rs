//! What others are told of builds, each in the write that makes it so.

use serde::{Deserialize, Serialize};

use super::BuildsError;
use crate::ledger::{Key, Kind, Write};
use crate::records::{FailureReason, Run, RunResult, State};

/// An event, as JSON in a record of [`Kind::Event`]; open until somebody has taken it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildEvent {
    /// Where.
    pub namespace: String,
    /// The build; `None` if the run stood alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// The run.
    pub run: String,
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// What has happened.
    #[serde(flatten)]
    pub what: Occurrence,
}

/// What has happened to a run. There is none of one that was cancelled, nor of one that was to reproduce another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Occurrence {
    /// Its image was published.
    #[serde(rename = "build.succeeded")]
    Succeeded {
        /// The repository that the image is in.
        repository: String,
        /// The image's digest.
        digest: String,
        /// Its tags.
        tags: Vec<String>,
    },
    /// It has failed.
    #[serde(rename = "build.failed")]
    Failed {
        /// Why, for machines.
        reason: FailureReason,
        /// Why, for people.
        message: String,
    },
}

/// How the names of events of a moment begin, in milliseconds since 1970: names are in the order of time.
pub(super) fn name_of(at: u64) -> String {
    format!("{at:013}")
}

/// The write that tells of a success.
pub(super) fn succeeded(
    run: &Run,
    result: &RunResult,
    repository: &str,
    digest: &str,
    now: u64,
) -> Result<Write, BuildsError> {
    let what = Occurrence::Succeeded {
        repository: repository.to_owned(),
        digest: digest.to_owned(),
        tags: result.tags.clone(),
    };
    event(run, what, now)
}

/// The write that tells of a failure; `None` if it is none.
pub(super) fn failed(run: &Run, now: u64) -> Result<Option<Write>, BuildsError> {
    let State::Failed { reason, message } = &run.state else {
        return Ok(None);
    };
    let what = Occurrence::Failed {
        reason: reason.clone(),
        message: message.clone(),
    };
    event(run, what, now).map(Some)
}

fn event(run: &Run, what: Occurrence, now: u64) -> Result<Write, BuildsError> {
    let namespace = run.metadata.namespace.clone();
    let event = BuildEvent {
        namespace: namespace.clone(),
        build: run.build.clone(),
        run: run.metadata.name.clone(),
        at: now,
        what,
    };
    let body = serde_json::to_vec(&event)
        .map_err(|error| BuildsError::Unavailable(format!("an event is no JSON: {error}")))?;
    let id = uuid::Uuid::new_v4().simple();
    Ok(Write::Put {
        key: Key {
            kind: Kind::Event,
            namespace,
            name: format!("{}-{id}", name_of(now)),
        },
        revision: None,
        open: true,
        brief: None,
        body,
    })
}
