//! What building needs of an image's configuration.

use std::collections::BTreeMap;

use oci::folded;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// An image's configuration (image-spec `config.md`; Docker's image specification 1.2 for `OnBuild`): its platform
/// and how its containers start. Layers and history are no matter of the contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
    #[serde(default)]
    config: Option<ExecutionConfig>,
}

/// The `config` object of an image's configuration. Fields that the contract has no word on are kept as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ExecutionConfig {
    /// Who runs; empty for root.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) user: String,
    /// `NAME=VALUE`, in the image's order.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) env: Vec<String>,
    /// The program before the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) entrypoint: Option<Vec<String>>,
    /// The command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cmd: Option<Vec<String>>,
    /// Where it starts; empty for the root.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) working_dir: String,
    /// Labels.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) labels: BTreeMap<String, String>,
    /// Instructions for who builds upon the image.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub(crate) on_build: Vec<String>,
    /// `ExposedPorts`, `Volumes`, `StopSignal`, `Healthcheck` and whatever else there is.
    #[serde(flatten)]
    pub(crate) others: Map<String, Value>,
}

impl ImageConfig {
    /// Reads the bytes that the manifest's `config` descriptor names. Bounding their number is the reader's part.
    ///
    /// What container engines could read differently is refused: a result keeps keys that mean nothing here, and an engine would take
    /// `user` beside `User` for the user whom nobody judged.
    pub fn parse(json: &[u8]) -> Result<Self, InvalidImage> {
        let invalid = |error: serde_json::Error| InvalidImage(error.to_string());
        let image: Self = serde_json::from_slice(json).map_err(invalid)?;
        let members: BTreeMap<String, &RawValue> = serde_json::from_slice(json).map_err(invalid)?;
        check_names("the configuration", members.keys(), OF_IMAGES)?;
        if let Some(config) = &image.config {
            check_names("config", config.others.keys(), OF_CONTAINERS)?;
        }
        Ok(image)
    }

    /// The operating system, such as `linux`.
    pub fn os(&self) -> &str {
        &self.os
    }

    /// The machine, such as `amd64`.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// How its containers start.
    pub fn execution(&self) -> ExecutionConfig {
        self.config.clone().unwrap_or_default()
    }
}

impl ExecutionConfig {
    /// A label that is there and not empty.
    pub fn label(&self, name: &str) -> Option<&str> {
        let value = self.labels.get(name)?;
        (!value.is_empty()).then_some(value)
    }

    /// The value of an environment variable, trimmed, if it is there and not empty.
    pub fn variable(&self, name: &str) -> Option<&str> {
        let value = self.env.iter().find_map(|entry| {
            let (key, value) = entry.split_once('=')?;
            (key == name).then_some(value.trim())
        })?;
        (!value.is_empty()).then_some(value)
    }

    /// Who runs; empty for root.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The environment, `NAME=VALUE`.
    pub fn env(&self) -> &[String] {
        &self.env
    }

    /// The program before the command, empty if there is none.
    pub fn entrypoint(&self) -> &[String] {
        self.entrypoint.as_deref().unwrap_or_default()
    }

    /// The command, empty if there is none.
    pub fn cmd(&self) -> &[String] {
        self.cmd.as_deref().unwrap_or_default()
    }

    /// All labels.
    pub fn labels(&self) -> &BTreeMap<String, String> {
        &self.labels
    }

    /// The working directory as the image writes it; empty for the root.
    pub fn working_dir(&self) -> &str {
        &self.working_dir
    }
}

/// Refuses a name that differs in case alone from another, or from a known one.
fn check_names<'a>(
    at: &str,
    names: impl Iterator<Item = &'a String>,
    known: &[&'a str],
) -> Result<(), InvalidImage> {
    let known = known.iter().map(|name| (folded(name).collect(), *name));
    let mut seen: BTreeMap<String, &str> = known.collect();
    for name in names {
        let other = seen.insert(folded(name).collect(), name);
        if let Some(other) = other.filter(|other| *other != name) {
            let shown = |name: &str| name.chars().take(64).collect::<String>();
            return Err(InvalidImage(format!(
                "{at} has {:?}, which container engines take for {:?}: make the image anew without it",
                shown(name),
                shown(other)
            )));
        }
    }
    Ok(())
}

/// `null` counts as absent: Docker writes it.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The bytes are no image configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an image configuration: {0}")]
pub struct InvalidImage(String);

/// Image-spec `config.md`.
const OF_IMAGES: &[&str] = &[
    "created",
    "author",
    "architecture",
    "os",
    "os.version",
    "os.features",
    "variant",
    "config",
    "rootfs",
    "history",
];

/// The same of `config`, and what Docker has besides.
const OF_CONTAINERS: &[&str] = &[
    "User",
    "ExposedPorts",
    "Env",
    "Entrypoint",
    "Cmd",
    "Volumes",
    "WorkingDir",
    "Labels",
    "StopSignal",
    "StopTimeout",
    "ArgsEscaped",
    "Healthcheck",
    "OnBuild",
    "Shell",
];
