//! Events for others, in the order in which they were recorded, until they are old.

use std::time::SystemTime;

use super::definitions::millis;
use super::event::{BuildEvent, key, name, position};
use super::name::check_namespace;
use super::{Builds, BuildsError, Invalid};
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
    /// By their positions, the first one first.
    pub items: Vec<(u64, BuildEvent)>,
    /// Whether more come after the last.
    pub more: bool,
}

impl Builds {
    /// The events of a namespace behind the position `after`, the oldest first, at most `limit`; 0 is before the first. What is
    /// recorded later has a higher position. An event that cannot be read is left out. `id` is that of the event at `after`, for
    /// whoever knows it. [`BuildsError::Invalid`] if there was no such position yet, or another event is there: records are older
    /// than they were, and what has come since was given positions for the second time.
    pub async fn events(
        &self,
        namespace: &str,
        after: u64,
        id: Option<&str>,
        limit: usize,
    ) -> Result<Events, BuildsError> {
        check_namespace(namespace)?;
        let ledger = self.store().ledger();
        if let Some(id) = id {
            self.check_event(namespace, after, id).await?;
        }
        let mut from = name(after);
        let mut items = Vec::new();
        while items.len() <= limit {
            let page = ledger.list(Kind::Event, namespace, "", Some(&from), STRIDE);
            let page = page.await?;
            let Some(last) = page.last() else { break };
            from.clone_from(&last.key.name);
            items.extend(page.into_iter().filter_map(|Kept { key, body, .. }| {
                Some((position(&key.name)?, serde_json::from_slice(&body).ok()?))
            }));
        }
        if items.is_empty() {
            self.check_position(namespace, after).await?;
        }
        let more = items.len() > limit;
        items.truncate(limit);
        Ok(Events { items, more })
    }

    /// Whoever waits behind what was never there would miss what comes.
    async fn check_position(&self, namespace: &str, after: u64) -> Result<(), BuildsError> {
        let last = self.last_event(namespace).await?;
        if after <= last {
            return Ok(());
        }
        let message = format!(
            "{after} is no position: the newest event of {namespace:?} is at {last}; if it was one, the server has older \
             records than it had: begin anew, from 0"
        );
        Err(Invalid::new("after", message).into())
    }

    /// The same where others have come up to that position since. Of an event that was removed nobody knows any more which it was.
    async fn check_event(
        &self,
        namespace: &str,
        position: u64,
        id: &str,
    ) -> Result<(), BuildsError> {
        let found = self.store().ledger().get(&key(namespace, position)).await?;
        let found = found.and_then(|kept| serde_json::from_slice::<BuildEvent>(&kept.body).ok());
        if found.is_none_or(|event| event.id == id) {
            return Ok(());
        }
        let message = format!(
            "the event of {namespace:?} at {position} is another one: if {id:?} was there, the server has older records than it \
             had, and what has come since has positions that others had before: begin anew, from 0; events that you have met \
             already have the ids that they had"
        );
        Err(Invalid::new("id", message).into())
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

    /// The first go first, so that those which are left have no gap.
    async fn prune_events(&self, namespace: &str, now: u64) -> Result<(), BuildsError> {
        let ledger = self.store().ledger();
        let since = now.saturating_sub(AGE);
        let (mut gone, mut kept) = (Vec::new(), Vec::new());
        let mut after: Option<String> = None;
        loop {
            let page = ledger.list(Kind::Event, namespace, "", after.as_deref(), STRIDE);
            let page = page.await?;
            let Some(last) = page.last() else { break };
            after = Some(last.key.name.clone());
            for event in page {
                let is_young = is_young(&event, since);
                let Kept { key, revision, .. } = event;
                match position(&key.name) {
                    Some(_) => kept.push((key, revision, is_young)),
                    // Of a version that had none, or nobody's.
                    None => gone.push(Write::Remove { key, revision }),
                }
            }
        }
        let young = kept.iter().position(|(_, _, is_young)| *is_young);
        let surplus = kept.len().saturating_sub(MOST);
        let first = young.unwrap_or(kept.len()).max(surplus);
        let old = kept.into_iter().take(first);
        gone.extend(old.map(|(key, revision, _)| Write::Remove { key, revision }));
        for some in gone.chunks(STRIDE) {
            match ledger.write(some.to_vec()).await {
                // Somebody else tidies.
                Ok(()) | Err(LedgerError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Whether an event is kept for its age. One that cannot be read may be of a newer version, and is, until there are too many.
fn is_young(event: &Kept, since: u64) -> bool {
    let read = serde_json::from_slice::<BuildEvent>(&event.body);
    read.map_or(true, |event| event.at >= since)
}
