//! Questions to the record.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use oci::RepoName;

use super::{Outcome, Row, Verb};

/// Which rows are asked for: those that meet every condition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Of this user.
    pub user: Option<String>,
    /// By the token with this id.
    pub token: Option<String>,
    /// Of this namespace.
    pub namespace: Option<String>,
    /// Of this repository.
    pub repository: Option<RepoName>,
    /// With one of these verbs; with any if none is named.
    pub verbs: Vec<Verb>,
    /// With this outcome.
    pub outcome: Option<Outcome>,
    /// Not older.
    pub since: Option<SystemTime>,
    /// Older.
    pub until: Option<SystemTime>,
}

impl Query {
    /// Whether the row meets every condition.
    pub fn admits(&self, row: &Row) -> bool {
        let entry = &row.entry;
        let time = entry.origin.time;
        meets(self.user.as_deref(), Some(entry.origin.user.as_str()))
            && meets(self.token.as_deref(), entry.origin.credential_id.as_deref())
            && meets(self.namespace.as_deref(), entry.place.namespace())
            && meets(self.repository.as_ref(), entry.place.repository())
            && meets(self.outcome.as_ref(), Some(&entry.outcome))
            && (self.verbs.is_empty() || self.verbs.contains(&entry.verb))
            && self.since.is_none_or(|since| time >= since)
            && self.until.is_none_or(|until| time < until)
    }
}

fn meets<T: PartialEq + ?Sized>(wanted: Option<&T>, is: Option<&T>) -> bool {
    wanted.is_none() || wanted == is
}

/// A place in the record, newest first: below the row `id` of the time `at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Milliseconds since 1970.
    pub(crate) at: i64,
    pub(crate) id: i64,
}

/// As clients keep it: `<milliseconds>-<id>`.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.at, self.id)
    }
}

/// The text is no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not what an earlier page ended with")]
pub struct InvalidPosition;

impl FromStr for Position {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let number = |text: &str| {
            let is_plain = text.bytes().all(|b| b.is_ascii_digit());
            is_plain.then(|| text.parse().ok()).flatten()
        };
        let (at, id) = text.split_once('-').ok_or(InvalidPosition)?;
        Ok(Self {
            at: number(at).ok_or(InvalidPosition)?,
            id: number(id).ok_or(InvalidPosition)?,
        })
    }
}

/// A part of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Newest first.
    pub rows: Vec<Row>,
    /// Where to go on; `None` at the end.
    pub next: Option<Position>,
}
