//! Lists, page by page, as Kubernetes has them.

use registry::http::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Entries of a page unless asked otherwise, and at most.
const USUAL: u32 = 100;
const MOST: u32 = 1_000;

/// Which page of a list: parameters that every list takes. Flattened into a list's own, they would not refuse unknown
/// ones, so a list with parameters of its own names these two again.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Page {
    /// Entries in the answer at most: 1 to 1000, usually 100.
    limit: Option<u32>,
    /// Where to go on: what the page before said under `continue`.
    r#continue: Option<String>,
}

impl Page {
    /// The page of such parameters.
    pub fn new(limit: Option<u32>, r#continue: Option<String>) -> Self {
        Self { limit, r#continue }
    }

    /// Entries at most.
    pub fn limit(&self) -> Result<usize, Problem> {
        match self.limit.unwrap_or(USUAL) {
            limit @ 1..=MOST => Ok(limit as usize),
            _ => Err(Problem::invalid(format!("limit: 1 to {MOST}"))),
        }
    }

    /// Where to go on; `None` for the first page.
    pub fn after(&self) -> Option<&str> {
        self.r#continue.as_deref().filter(|after| !after.is_empty())
    }
}

/// A page of a list.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "{T}List")]
pub struct Listed<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Where the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub r#continue: Option<String>,
}
