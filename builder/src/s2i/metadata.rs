//! `image_metadata.json`: labels that `assemble` asks for.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Reason, Refusal};

#[cfg(test)]
mod tests;

/// Where `assemble` writes it.
pub(crate) const METADATA_PATH: &str = "/tmp/.s2i/image_metadata.json";

/// Reads the labels in the file, `{"labels":[{"name":"value"},…]}` (the program's `docs/new_labels.md`). Of one name the
/// last holds. Bounding the file is the reader's part.
pub fn metadata_labels(json: &[u8]) -> Result<BTreeMap<String, String>, Refusal> {
    let invalid = |error: serde_json::Error| {
        Refusal::new(
            Reason::ContainerCommitFailed,
            format!(
                "{METADATA_PATH}, written by assemble, is not {{\"labels\":[{{\"name\":\"value\"}}]}}: {error}"
            ),
        )
    };
    let mut file: Map<String, Value> = serde_json::from_slice(json).map_err(invalid)?;
    let Some(labels) = file.remove("labels") else {
        return Ok(BTreeMap::new());
    };
    let labels: Vec<BTreeMap<String, String>> = serde_json::from_value(labels).map_err(invalid)?;
    Ok(labels.into_iter().flatten().collect())
}
