//! An entry of the catalogue of builder images.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Metadata;

/// A builder image that people choose by language and version. What is absent is read from the image's labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BuilderImage {
    /// Name and place; an empty namespace is everybody's.
    pub metadata: Metadata,
    /// `repository[:tag][@digest]` in this registry.
    pub image: String,
    /// `java`, `go`, `python`, `nodejs` …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The language's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}
