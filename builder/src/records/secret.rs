//! A secret of a namespace.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Metadata;

/// A secret: named files. What is in them is sealed, here too; nobody is ever shown it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Secret {
    /// Name and place.
    pub metadata: Metadata,
    /// What it may be used for.
    pub used_for: SecretUse,
    /// The files' names.
    pub files: Vec<String>,
    /// Changes with the content.
    pub revision: String,
    /// The content, sealed with the server's key, in base64.
    pub sealed: String,
}

/// What a secret may be used for. One of a git server never reaches a sandbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SecretUse {
    /// Files that `assemble` sees.
    #[default]
    Build,
    /// Fetching sources.
    Git,
    /// Signing webhooks.
    Webhook,
    /// Files that may stay in an image, which everyone who pulls it can read: configuration rather than a secret.
    Image,
}

impl fmt::Display for SecretUse {
    /// As `--for` of `slipway secret set` has it, and JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Build => "build",
            Self::Git => "git",
            Self::Webhook => "webhook",
            Self::Image => "image",
        })
    }
}
