//! The configuration of the image that comes out.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use oci::Digest;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::s2i::ExecutionConfig;

#[cfg(test)]
mod tests;

/// What is new in a result's configuration.
pub(super) struct New<'a> {
    /// How its containers start.
    pub(super) config: &'a ExecutionConfig,
    /// The layer; `None` if nothing was changed.
    pub(super) diff_id: Option<Digest>,
    /// When it is said to have been made.
    pub(super) epoch: SystemTime,
    /// The one line that history has of it.
    pub(super) by: &'a str,
}

/// The base's configuration (image-spec `config.md`) with what is new. Everything else is as the base has it, to the byte:
/// platform, author, earlier diffIDs and history, and whatever else there is; only what Docker noted of the one container
/// that the base was made in is left out.
pub(super) fn assemble(base: &[u8], new: &New<'_>) -> Result<Vec<u8>, serde_json::Error> {
    let base: BTreeMap<String, &RawValue> = serde_json::from_slice(base)?;
    let created = json!(rfc3339(new.epoch));
    let mut history = elements(base.get("history"))?;
    let mut line = json!({"created": created, "created_by": new.by});
    if new.diff_id.is_none() {
        line["empty_layer"] = json!(true);
    }
    history.push(line.to_string());
    let rootfs: Rootfs<'_> = match base.get("rootfs") {
        Some(text) => serde_json::from_str(text.get())?,
        None => Rootfs { diff_ids: None },
    };
    let mut diff_ids = elements(rootfs.diff_ids.as_ref())?;
    diff_ids.extend(new.diff_id.map(|digest| json!(digest).to_string()));
    let rootfs = format!(r#"{{"type":"layers","diff_ids":[{}]}}"#, diff_ids.join(","));

    let mut members: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in &base {
        if !OF_A_CONTAINER.contains(&name.as_str()) {
            members.insert(name, value.get().to_owned());
        }
    }
    members.insert("created", created.to_string());
    members.insert("config", serde_json::to_string(new.config)?);
    members.insert("rootfs", rootfs);
    members.insert("history", format!("[{}]", history.join(",")));
    let mut text = Vec::new();
    for (name, value) in members {
        text.push(format!("{}:{value}", json!(name)));
    }
    Ok(format!("{{{}}}", text.join(",")).into_bytes())
}

#[derive(Deserialize)]
struct Rootfs<'a> {
    #[serde(borrow)]
    diff_ids: Option<&'a RawValue>,
}

/// An array's elements as they are written; `null` has none.
fn elements(array: Option<&&RawValue>) -> Result<Vec<String>, serde_json::Error> {
    let Some(array) = array else {
        return Ok(Vec::new());
    };
    let elements: Option<Vec<&RawValue>> = serde_json::from_str(array.get())?;
    let text = |element: &RawValue| element.get().to_owned();
    Ok(elements.unwrap_or_default().into_iter().map(text).collect())
}

/// RFC 3339 in UTC, whole seconds.
fn rfc3339(time: SystemTime) -> String {
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds)
        .unwrap_or(jiff::Timestamp::MAX)
        .to_string()
}

/// Docker's image specification 1.2.
const OF_A_CONTAINER: &[&str] = &[
    "id",
    "parent",
    "parent_id",
    "container",
    "container_config",
    "throwaway",
];
