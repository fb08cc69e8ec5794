//! Why a run failed, in one word for machines.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::room::PRESSURE;
use crate::s2i::Reason;
use crate::source::FaultClass;

/// Why a run failed: a [`Reason`], a [`FaultClass`] or an [`OwnReason`]. What another version of this program wrote may be none
/// of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FailureReason(Cow<'static, str>);

impl FailureReason {
    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Reason> for FailureReason {
    fn from(reason: Reason) -> Self {
        Self(reason.as_str().into())
    }
}

impl From<FaultClass> for FailureReason {
    fn from(class: FaultClass) -> Self {
        Self(class.as_str().into())
    }
}

impl From<OwnReason> for FailureReason {
    fn from(reason: OwnReason) -> Self {
        Self(reason.as_str().into())
    }
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The words that there are, and any other: a client of today must bear the words of a newer server.
impl JsonSchema for FailureReason {
    fn schema_name() -> Cow<'static, str> {
        "FailureReason".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let known = [
            generator.subschema_for::<Reason>(),
            generator.subschema_for::<FaultClass>(),
            generator.subschema_for::<OwnReason>(),
        ];
        let [s2i, sources, own] = known;
        json_schema!({
            "description": "Why a run failed: s2i's names, Shipwright's for sources, and Slipway's own. There may come to be more.",
            "anyOf": [s2i, sources, own, {"type": "string"}],
        })
    }
}

/// A reason that neither S2I nor a source has a name for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, JsonSchema)]
pub enum OwnReason {
    /// It waited longer than it may.
    QueueTimeout,
    /// It worked longer than it may, all its parts together.
    RunTimeout,
    /// Its programs took longer than they may.
    TimedOut,
    /// A program used more memory than its limit.
    OutOfMemory,
    /// A program started more processes and threads than its limit.
    TooManyProcesses,
    /// A program wrote more to disk than its limit.
    DiskLimitExceeded,
    /// What a secret holds is in the result.
    SecretInResult,
    /// There are more secrets than can be looked for in the result.
    TooManySecrets,
    /// The test ended with an error.
    TestFailed,
    /// Its spec cannot be understood any more: the configuration has changed.
    InvalidSpec,
    /// A secret that it names is not to be had.
    SecretUnavailable,
    /// The kept source of an earlier run is not there any more, or an image that is to be the source is none.
    SourceNotFound,
    /// Who it acts for may not do what it takes.
    Forbidden,
    /// The registry will not do it.
    RegistryRefused,
    /// The registry does not answer.
    RegistryUnavailable,
    /// Records cannot be read or written.
    RecordsUnavailable,
    /// The server ended while it was at work, more than once.
    Interrupted,
    /// This machine lacks something that sandboxes need.
    SandboxUnavailable,
    /// This machine's disk is nearly full.
    DiskPressure,
    /// This machine's disk was nearly full, and of all runs at work this one had written the most.
    Evicted,
    /// Somebody wants it to end. No run has failed of it.
    #[schemars(skip)]
    Cancelled,
}

impl OwnReason {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::QueueTimeout => "QueueTimeout",
            Self::RunTimeout => "RunTimeout",
            Self::TimedOut => "TimedOut",
            Self::OutOfMemory => "OutOfMemory",
            Self::TooManyProcesses => "TooManyProcesses",
            Self::DiskLimitExceeded => "DiskLimitExceeded",
            Self::SecretInResult => "SecretInResult",
            Self::TooManySecrets => "TooManySecrets",
            Self::TestFailed => "TestFailed",
            Self::InvalidSpec => "InvalidSpec",
            Self::SecretUnavailable => "SecretUnavailable",
            Self::SourceNotFound => "SourceNotFound",
            Self::Forbidden => "Forbidden",
            Self::RegistryRefused => "RegistryRefused",
            Self::RegistryUnavailable => "RegistryUnavailable",
            Self::RecordsUnavailable => "RecordsUnavailable",
            Self::Interrupted => "Interrupted",
            Self::SandboxUnavailable => "SandboxUnavailable",
            Self::DiskPressure => PRESSURE,
            Self::Evicted => "Evicted",
            Self::Cancelled => "Cancelled",
        }
    }
}

#[cfg(test)]
mod tests {
    use schemars::schema_for;
    use serde_json::{Value, json};

    use super::{FailureReason, OwnReason};

    #[test]
    fn a_word_of_another_version_is_read_and_written_as_it_is() {
        let read: FailureReason = serde_json::from_value(json!("OfTomorrow")).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), "OfTomorrow");
        let known = serde_json::from_value::<FailureReason>(json!("TestFailed")).unwrap();
        assert_eq!(known, OwnReason::TestFailed.into());
    }

    #[test]
    fn the_schema_has_the_words_and_takes_others() {
        let schema = serde_json::to_value(schema_for!(FailureReason)).unwrap();
        let words = |of: &str| {
            let known = schema["$defs"][of]["oneOf"].as_array().unwrap().iter();
            let words = known.map(|known| known["const"].as_str().unwrap().to_owned());
            words.collect::<Vec<_>>()
        };
        assert!(words("OwnReason").contains(&"RunTimeout".to_owned()));
        assert!(!words("OwnReason").contains(&"Cancelled".to_owned()));
        assert!(words("S2iReason").contains(&"AssembleFailed".to_owned()));
        assert!(words("SourceReason").contains(&"GitError".to_owned()));
        let any: &Value = schema["anyOf"].as_array().unwrap().last().unwrap();
        assert_eq!(any, &json!({"type": "string"}));
    }
}
