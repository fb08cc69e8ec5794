//! For whom a run acts.

use serde::{Deserialize, Serialize};

/// Whose rights a build or run has. The name is for people; the proof is what the gate makes the person of again, and
/// nobody here looks into it. It holds no credential: whoever was taken away since has no rights any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Actor {
    /// The user's name.
    pub name: String,
    /// The gate's own words for the person.
    pub proof: serde_json::Value,
}
