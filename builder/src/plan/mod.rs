//! What a build will do, decided before anything runs.
//!
//! [`Request::plan`] turns a request (images by digest with their configurations, a source snapshot by digest,
//! options) into a [`Plan`]: stages of steps in which every path, argument, user, variable, mount, limit and label is
//! written out. A driver (an OCI runtime on this machine, BuildKit, a Kubernetes Job) runs it and decides nothing; what it
//! may not do otherwise is what the plan says.
//!
//! A plan is a value: it serialises, and [`Plan::digest`] names all that decides the result. Two runs with one digest
//! build the same thing from the same things, so that the second need not be run at all. Secrets are in it by
//! name, never by content.

mod compile;
mod quantity;
mod request;
mod source;
mod step;
mod usage;

use std::fmt;

use oci::{Algorithm, Digest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use quantity::bytes;
pub use request::{Cache, Image, Output, Request, Secret};
pub use source::{Commit, Source};
pub use step::{Base, Content, Copy, IfItFails, Mount, Place, Run, Stage, StageName, Step};

use crate::s2i::ExecutionConfig;

#[cfg(test)]
mod tests;

/// A build, ready to be run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// The version of this form: [`Plan::VERSION`].
    pub version: u32,
    /// All that decides the result.
    pub recipe: Recipe,
    /// What the run may use up. It decides whether there is a result, not which.
    pub limits: Limits,
}

/// What decides a build's result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recipe {
    /// The source snapshot's digest.
    pub source: Digest,
    /// What runs one after the other. The last one's files become the result.
    pub stages: Vec<Stage>,
    /// What the steps may reach.
    pub network: Network,
    /// The file in the last stage that holds labels which its script asks for, if it wrote one
    /// ([`crate::s2i::metadata_labels`]).
    pub metadata: crate::s2i::ContainerPath,
    /// The result's configuration, before those labels ([`crate::s2i::result::with_labels`]).
    pub config: ExecutionConfig,
}

/// What steps may reach over the network, less before more. Link-local and metadata addresses are never among it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// Nothing.
    None,
    /// The package registries that the configuration names.
    RegistriesOnly,
    /// Everything.
    #[default]
    Full,
}

impl Network {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::RegistriesOnly => "registries-only",
            Self::Full => "full",
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a run may use up. `None`: as much as the builder's configuration gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// Memory, in bytes.
    #[serde(default, deserialize_with = "quantity::optional")]
    #[schemars(with = "Option<quantity::Quantity>")]
    pub memory_bytes: Option<u64>,
    /// Processor time, in thousandths of one processor.
    pub cpu_millis: Option<u32>,
    /// Processes and threads at a time.
    pub pids: Option<u32>,
    /// What is written to disk, in bytes.
    #[serde(default, deserialize_with = "quantity::optional")]
    #[schemars(with = "Option<quantity::Quantity>")]
    pub disk_bytes: Option<u64>,
    /// How long all steps together may take, in seconds.
    pub seconds: Option<u64>,
}

impl Plan {
    /// The version of the serialised form that this program writes.
    pub const VERSION: u32 = 1;

    /// Names the recipe: the SHA-256 of its JSON. The limits are not among it.
    ///
    /// # Panics
    ///
    /// Never: a recipe's maps have text keys and its numbers are integers, so that it is always JSON.
    pub fn digest(&self) -> Digest {
        #[expect(clippy::expect_used, reason = "a recipe is JSON by its types")]
        let json = serde_json::to_vec(&self.recipe).expect("a recipe is JSON");
        Digest::of(Algorithm::Sha256, &json)
    }
}
