//! Events for others: what was published, in the order of time, until it is old.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::definitions::millis;
use super::name::check_namespace;
use super::{Builds, BuildsError};
use crate::ledger::{Kept, Key, Kind, LedgerError, Write};
use crate::records::{Run, RunResult};

/// How many events of a namespace are kept.
const MOST: usize = 1000;

/// For how long, in milliseconds.
const AGE: u64 = 30 * 86_400_000;

/// Read or removed at a time.
const STRIDE: usize = 500;

/// The event that an image was built, as JSON in a record of [`Kind::Event`]; open until somebody has taken it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BuildSucceeded {
    /// [`BuildSucceeded::KIND`].
    pub kind: String,
    /// Where.
    pub namespace: String,
    /// The build; `None` if the run stood alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// The run.
    pub run: String,
    /// The repository that the image is in.
    pub repository: String,
    /// The image's digest.
    pub digest: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// When, in milliseconds since 1970.
    pub at: u64,
}

impl BuildSucceeded {
    /// Which event it is.
    pub const KIND: &str = "build.succeeded";
}

/// Events of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Events {
    /// By their names, in the order of these: of the time that they happened at.
    pub items: Vec<(String, BuildSucceeded)>,
    /// Whether more come after the last.
    pub more: bool,
}

impl Builds {
    /// The events of a namespace behind the name `after`, the oldest first, at most `limit`. What was recorded at the same moment as
    /// another may come before one that was read already. An event that cannot be read is left out.
    pub async fn events(
        &self,
        namespace: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Events, BuildsError> {
        check_namespace(namespace)?;
        let ledger = self.store().ledger();
        let mut after = after.map(str::to_owned);
        let mut items = Vec::new();
        while items.len() <= limit {
            let page = ledger.list(Kind::Event, namespace, "", after.as_deref(), STRIDE);
            let page = page.await?;
            let Some(last) = page.last() else { break };
            after = Some(last.key.name.clone());
            items.extend(page.into_iter().filter_map(|Kept { key, body, .. }| {
                Some((key.name, serde_json::from_slice(&body).ok()?))
            }));
        }
        let more = items.len() > limit;
        items.truncate(limit);
        Ok(Events { items, more })
    }

    /// Removes the events that are old or too many, of all namespaces.
    pub(super) async fn tidy_events(&self, now: SystemTime) -> Result<(), BuildsError> {
        let mut after: Option<String> = None;
        loop {
            let ledger = self.store().ledger();
            let found = ledger.namespaces(Kind::Event, after.as_deref(), 100);
            let namespaces = found.await?;
            let Some(last) = namespaces.last() else {
                return Ok(());
            };
            after = Some(last.clone());
            for namespace in &namespaces {
                self.prune_events(namespace, millis(now)).await?;
            }
        }
    }

    async fn prune_events(&self, namespace: &str, now: u64) -> Result<(), BuildsError> {
        let ledger = self.store().ledger();
        let mut surplus = ledger
            .count(Kind::Event, namespace)
            .await?
            .saturating_sub(MOST);
        let young = name_of(now.saturating_sub(AGE));
        let mut after: Option<String> = None;
        loop {
            let page = ledger.list(Kind::Event, namespace, "", after.as_deref(), STRIDE);
            let page = page.await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(last.key.name.clone());
            for Kept { key, revision, .. } in page {
                if surplus == 0 && key.name >= young {
                    return Ok(());
                }
                surplus = surplus.saturating_sub(1);
                match ledger.write(vec![Write::Remove { key, revision }]).await {
                    // Somebody has taken it.
                    Ok(()) | Err(LedgerError::Conflict(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
}

/// How the names of events of a moment begin, in milliseconds since 1970: names are in the order of time.
fn name_of(at: u64) -> String {
    format!("{at:013}")
}

/// The write that records a success.
pub(super) fn succeeded(
    run: &Run,
    result: &RunResult,
    repository: &str,
    digest: &str,
    now: u64,
) -> Result<Write, BuildsError> {
    let event = BuildSucceeded {
        kind: BuildSucceeded::KIND.to_owned(),
        namespace: run.metadata.namespace.clone(),
        build: run.build.clone(),
        run: run.metadata.name.clone(),
        repository: repository.to_owned(),
        digest: digest.to_owned(),
        tags: result.tags.clone(),
        at: now,
    };
    let body = serde_json::to_vec(&event)
        .map_err(|error| BuildsError::Unavailable(format!("an event is no JSON: {error}")))?;
    let id = uuid::Uuid::new_v4().simple();
    Ok(Write::Put {
        key: Key {
            kind: Kind::Event,
            namespace: run.metadata.namespace.clone(),
            name: format!("{}-{id}", name_of(now)),
        },
        revision: None,
        open: true,
        body,
    })
}
