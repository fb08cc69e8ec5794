//! What the server says, as far as it is printed for people. What this program does not know is handed on.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::client::Client;

#[derive(Debug, Clone, Deserialize, Serialize)]
pub(super) struct Metadata {
    pub(super) namespace: String,
    pub(super) name: String,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Metadata {
    /// When it was made, in milliseconds since 1970.
    pub(super) fn created(&self) -> Option<u64> {
        self.rest.get("created")?.as_u64()?.checked_mul(1000)
    }
}

/// A build.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(super) struct Build {
    pub(super) metadata: Metadata,
    pub(super) revision: u64,
    owner: String,
    #[serde(
        rename = "ownerToken",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    owner_token: Option<String>,
    pub(super) spec: Value,
    pub(super) status: Value,
    #[serde(
        rename = "missingSecrets",
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    missing_secrets: Vec<String>,
    #[serde(
        rename = "missingBuilder",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    missing_builder: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// A run.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(super) struct Run {
    pub(super) metadata: Metadata,
    pub(super) state: State,
    pub(super) cause: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) waits: Option<Waits>,
    #[serde(default)]
    pub(super) phases: Vec<Phase>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) started: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ended: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) result: Option<RunResult>,
    pub(super) spec: Value,
    #[serde(default)]
    pub(super) resolved: Value,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
pub(super) struct State {
    /// `queued`, `running`, `succeeded`, `failed`, `cancelled`.
    pub(super) is: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) by: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Why a run waits.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(super) struct Waits {
    pub(super) reason: String,
    pub(super) message: String,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
pub(super) struct Phase {
    #[serde(rename = "phase")]
    pub(super) name: String,
    pub(super) started: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ended: Option<u64>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunResult {
    pub(super) image: String,
    #[serde(default)]
    pub(super) tags: Vec<String>,
    #[serde(default)]
    pub(super) reused: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) same_as: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) differs: Vec<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Build {
    /// Whose rights runs have that no person started.
    pub(super) fn whose(&self) -> String {
        let owner = &self.owner;
        match &self.owner_token {
            Some(id) => clean(&format!("{owner} by the API token {id}")),
            None => clean(owner),
        }
    }

    /// What has become of it, which was `known`: saving what is the same may make it another's, too.
    pub(super) fn what_since(&self, known: &Self) -> String {
        let what = if self.spec == known.spec {
            "unchanged"
        } else {
            "changed"
        };
        let (is, was) = (self.whose(), known.whose());
        if is == was {
            return what.to_owned();
        }
        format!("{what}; its owner is {is} now, and was {was}")
    }

    /// What it names and is not there, a sentence each.
    pub(super) fn lacks(&self) -> impl Iterator<Item = String> {
        let namespace = &self.metadata.namespace;
        let secrets = self.missing_secrets.iter();
        let secrets =
            secrets.map(move |name| format!("there is no secret {name} in {namespace} yet"));
        let builder = self.missing_builder.iter();
        let builder = builder
            .map(move |word| format!("there is no builder image {word} for {namespace} yet: slipway builder-image list -n {namespace} shows those that there are"));
        secrets.chain(builder).map(|said| clean(&said))
    }

    /// The URLs that forges are given, at the server as one speaks to it.
    pub(super) fn webhooks(&self, client: &Client) -> anyhow::Result<Vec<String>> {
        let Metadata {
            namespace, name, ..
        } = &self.metadata;
        let hooks = self.spec["triggers"]["webhooks"].as_array();
        let kinds = hooks.into_iter().flatten();
        let kinds = kinds.filter_map(|hook| hook["kind"].as_str());
        let urls = kinds.map(|kind| client.url(&format!("/hooks/{namespace}/{name}/{kind}")));
        urls.collect()
    }
}

impl Run {
    /// How long it worked, or works.
    pub(super) fn took(&self, now: u64) -> Option<Duration> {
        let since = self.ended.unwrap_or(now).saturating_sub(self.started?);
        Some(Duration::from_millis(since))
    }

    /// How often it was begun.
    pub(super) fn attempts(&self) -> u64 {
        let attempts = self.rest.get("attempts").and_then(Value::as_u64);
        attempts.unwrap_or_default()
    }

    /// How it stands, in a word or two.
    pub(super) fn standing(&self) -> String {
        match (&self.state.reason, &self.waits) {
            (Some(reason), _) => reason.clone(),
            (None, Some(waits)) => format!("{}: {}", self.state.is, waits.reason),
            (None, None) => self.state.is.clone(),
        }
    }

    /// What became of it, on one line.
    pub(super) fn outcome(&self) -> String {
        let State {
            is,
            reason,
            message,
            by,
            ..
        } = &self.state;
        let text = match (&**is, reason, message, by) {
            ("failed", Some(reason), Some(message), _) => format!("failed: {reason}: {message}"),
            ("cancelled", _, _, Some(by)) => format!("cancelled by {by}"),
            _ => match &self.waits {
                Some(waits) => format!("{is}, waits {}", waits.message),
                None => is.clone(),
            },
        };
        clean(&text)
    }
}

/// A text of others without what would move the terminal.
pub(super) fn clean(text: &str) -> String {
    let printed = |char: char| if char.is_control() { ' ' } else { char };
    text.chars().map(printed).collect()
}

/// A duration as people read it: `850ms`, `12.3s`, `3m 20s`.
pub(super) fn human(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), duration.subsec_millis());
    match seconds {
        0 => format!("{millis}ms"),
        1..60 => format!("{seconds}.{}s", millis / 100),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{clean, human};

    #[test]
    fn durations_are_short_and_texts_are_tame() {
        for (millis, text) in [
            (0, "0ms"),
            (850, "850ms"),
            (12_345, "12.3s"),
            (200_000, "3m 20s"),
            (3_600_000, "1h 00m"),
        ] {
            assert_eq!(human(Duration::from_millis(millis)), text);
        }
        assert_eq!(clean("a\u{1b}[2Jb\nc"), "a [2Jb c");
    }
}
