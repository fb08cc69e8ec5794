//! What others are told of builds, each in the write that makes it so.
//!
//! The events of a namespace are numbered from 1 on, without gaps. The number of the next is the next revision of a record that
//! is written in the same step: of two that come at the same time one finds it changed and takes the number behind, so that
//! none ever appears before one that somebody has read, however late it is recorded and whatever the clock says.

use serde::{Deserialize, Serialize};

use super::reproduce::is_check;
use super::{Builds, BuildsError};
use crate::images::ImageName;
use crate::ledger::{Key, Kind, Write};
use crate::records::{FailureReason, Run, State};

/// An event, as JSON in a record of [`Kind::Event`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildEvent {
    /// Its own for ever: the `uid` of its run, of which there is no other.
    pub id: String,
    /// Where.
    pub namespace: String,
    /// The build; `None` if the run stood alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// The run.
    pub run: String,
    /// When the run ended, in milliseconds since 1970. It may have been recorded later.
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

impl Occurrence {
    /// What others are told of a run that has ended so; `None` if nothing.
    pub(super) fn of(run: &Run) -> Option<Self> {
        if is_check(run) {
            return None;
        }
        match (&run.state, &run.result) {
            (State::Succeeded, Some(result)) => {
                let image = ImageName::parse(&result.image, &[]).ok()?;
                Some(Self::Succeeded {
                    repository: image.repo().as_str().to_owned(),
                    digest: image.digest()?.to_string(),
                    tags: result.tags.clone(),
                })
            }
            (State::Failed { reason, message }, _) => Some(Self::Failed {
                reason: reason.clone(),
                message: message.clone(),
            }),
            _ => None,
        }
    }
}

impl Builds {
    /// The writes that tell of a run which has ended: the event, in its place behind all others. [`BuildsError::Busy`] of a
    /// step with these says that another took the place: ask again.
    pub(super) async fn told(&self, run: &Run) -> Result<Vec<Write>, BuildsError> {
        let Some(what) = Occurrence::of(run) else {
            return Ok(Vec::new());
        };
        let namespace = &run.metadata.namespace;
        let event = BuildEvent {
            id: run.uid.clone(),
            namespace: namespace.clone(),
            build: run.build.clone(),
            run: run.metadata.name.clone(),
            at: run.ended.unwrap_or_default(),
            what,
        };
        let body = serde_json::to_vec(&event)
            .map_err(|error| BuildsError::Unavailable(format!("an event is no JSON: {error}")))?;
        let last = self.last_event(namespace).await?;
        let put = |key: Key, revision: Option<u64>, body: Vec<u8>| Write::Put {
            key,
            revision,
            open: false,
            brief: None,
            body,
        };
        let key = key(namespace, last + 1);
        Ok(vec![
            put(count(namespace), (last > 0).then_some(last), b"{}".to_vec()),
            put(key, None, body),
        ])
    }

    /// The position of a namespace's newest event, whether it is still kept or not; 0 if it never had one.
    pub(super) async fn last_event(&self, namespace: &str) -> Result<u64, BuildsError> {
        let count = self.store().ledger().get(&count(namespace)).await?;
        Ok(count.map_or(0, |count| count.revision))
    }
}

/// The record whose revisions count a namespace's events.
fn count(namespace: &str) -> Key {
    Key {
        kind: Kind::EventCount,
        namespace: namespace.to_owned(),
        name: "events".to_owned(),
    }
}

/// The record of the event at a position.
pub(super) fn key(namespace: &str, position: u64) -> Key {
    Key {
        kind: Kind::Event,
        namespace: namespace.to_owned(),
        name: name(position),
    }
}

/// What the event at a position is called in the ledger: names are in the order of positions.
pub(super) fn name(position: u64) -> String {
    format!("{position:016}")
}

/// The position of the event of a name; `None` if no event is called so.
pub(super) fn position(of: &str) -> Option<u64> {
    let position = of.parse().ok()?;
    (name(position) == of).then_some(position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_positions() {
        let all = [1, 2, 9, 10, 999, 1_000, 4_294_967_296, 1 << 53];
        let names = all.map(name);
        assert!(names.is_sorted());
        assert_eq!(names.each_ref().map(|name| position(name)), all.map(Some));
        for none in ["", "1", "+000000000000001", "1800000000000-x", "x"] {
            assert_eq!(position(none), None, "{none}");
        }
    }
}
