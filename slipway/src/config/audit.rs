//! `audit`.

use std::ops::RangeInclusive;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use storage::audit::Retention;

use super::Span;

/// A century is as good as for ever.
pub(super) const RETENTION: RangeInclusive<Span> = Span::seconds(1)..=Span::hours(24 * 36_500);
pub(super) const ROWS: RangeInclusive<u64> = 1_000..=1_000_000_000;

/// The record of who did what.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Audit {
    /// Older rows are removed.
    pub(crate) retention: Span,
    /// Rows kept of each class (changes; refusals and failures; logins and pulls), the newest.
    pub(crate) max_rows: u64,
    /// Record pulls of manifests too.
    pub(crate) pulls: bool,
    /// Write a line to the log for each row, whatever `log.level` says.
    pub(crate) log: bool,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            retention: Span::hours(24 * 90),
            max_rows: 1_000_000,
            pulls: false,
            log: true,
        }
    }
}

impl Audit {
    /// What is kept.
    pub(crate) fn kept(&self) -> Retention {
        Retention {
            age: self.retention.get(),
            rows: self.max_rows,
        }
    }
}
