//! Events for others, in the order of time, until they are old.

use std::time::SystemTime;

use super::definitions::millis;
use super::event::{BuildEvent, name_of};
use super::name::check_namespace;
use super::{Builds, BuildsError};
use crate::ledger::{Kept, Kind, LedgerError, Write};

/// How many events of a namespace are kept.
const MOST: usize = 1000;

/// For how long, in milliseconds.
const AGE: u64 = 30 * 86_400_000;

/// Read or removed at a time.
const STRIDE: usize = 500;

/// Events of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Events {
    /// By their names, in the order of these: of the time that they happened at.
    pub items: Vec<(String, BuildEvent)>,
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
