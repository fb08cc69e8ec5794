//! Records in memory, for tests: the same promises, but that nothing outlives the process.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{
    Brief, Kept, Key, Kind, Ledger, LedgerError, MAX_BATCH_BYTES, MAX_BODY_BYTES, MAX_BRIEF_BYTES,
    MAX_WRITES, Write,
};

/// A [`Ledger`] in memory.
#[derive(Debug, Default)]
pub struct MemoryLedger(Mutex<BTreeMap<Key, Entry>>);

/// A record, and what was said of it.
#[derive(Clone, Debug)]
struct Entry {
    kept: Kept,
    brief: Option<Vec<u8>>,
}

impl MemoryLedger {
    fn kept(&self) -> MutexGuard<'_, BTreeMap<Key, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn page(&self, limit: usize, wanted: impl Fn(&Kept) -> bool) -> Vec<Kept> {
        let kept = self.kept();
        let wanted = kept.values().filter(|entry| wanted(&entry.kept));
        wanted.take(limit).map(|entry| entry.kept.clone()).collect()
    }

    fn write_all(&self, writes: Vec<Write>) -> Result<(), LedgerError> {
        let bytes: usize = writes.iter().map(bytes).sum();
        if writes.len() > MAX_WRITES || bytes > MAX_BATCH_BYTES {
            return Err(LedgerError::Refused("too much at once".to_owned()));
        }
        let mut kept = self.kept();
        let mut next = kept.clone();
        let mut seen = Vec::new();
        for write in writes {
            let (key, expected) = match &write {
                Write::Put { key, revision, .. } => (key.clone(), *revision),
                Write::Remove { key, revision } => (key.clone(), Some(*revision)),
            };
            if seen.contains(&key) {
                let twice = format!("{}/{} is written twice at once", key.namespace, key.name);
                return Err(LedgerError::Refused(twice));
            }
            if next.get(&key).map(|entry| entry.kept.revision) != expected {
                return Err(LedgerError::Conflict(key));
            }
            match write {
                Write::Put { brief, body, .. }
                    if body.len() > MAX_BODY_BYTES
                        || brief
                            .as_ref()
                            .is_some_and(|brief| brief.len() > MAX_BRIEF_BYTES) =>
                {
                    let long = format!("{}/{} is too long", key.namespace, key.name);
                    return Err(LedgerError::Refused(long));
                }
                Write::Put {
                    open, brief, body, ..
                } => {
                    let kept = Kept {
                        key: key.clone(),
                        revision: expected.unwrap_or(0) + 1,
                        open,
                        body,
                    };
                    next.insert(key.clone(), Entry { kept, brief });
                }
                Write::Remove { .. } => {
                    next.remove(&key);
                }
            }
            seen.push(key);
        }
        *kept = next;
        Ok(())
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn get(&self, key: &Key) -> Result<Option<Kept>, LedgerError> {
        let found = self.kept().get(key).map(|entry| entry.kept.clone());
        turn(Ok(found)).await
    }

    async fn write(&self, writes: Vec<Write>) -> Result<(), LedgerError> {
        turn(self.write_all(writes)).await
    }

    async fn list(
        &self,
        kind: Kind,
        namespace: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Kept>, LedgerError> {
        let page = self.page(limit, |Kept { key, .. }| {
            key.kind == kind
                && key.namespace == namespace
                && key.name.starts_with(prefix)
                && after.is_none_or(|after| key.name.as_str() > after)
        });
        turn(Ok(page)).await
    }

    async fn briefs(
        &self,
        kind: Kind,
        namespace: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Brief>, LedgerError> {
        let found = self.list(kind, namespace, prefix, after, limit).await?;
        let all = self.kept();
        let brief = |Kept { key, .. }: Kept| Brief {
            brief: all.get(&key).and_then(|entry| entry.brief.clone()),
            name: key.name,
        };
        Ok(found.into_iter().map(brief).collect())
    }

    async fn open(
        &self,
        kind: Kind,
        after: Option<(&str, &str)>,
        limit: usize,
    ) -> Result<Vec<Kept>, LedgerError> {
        Ok(self.page(limit, |Kept { key, open, .. }| {
            let place = (key.namespace.as_str(), key.name.as_str());
            key.kind == kind && *open && after.is_none_or(|after| place > after)
        }))
    }

    async fn namespaces(
        &self,
        kind: Kind,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, LedgerError> {
        let kept = self.kept();
        let of_kind = kept.keys().filter(|key| key.kind == kind);
        let mut found: Vec<String> = of_kind.map(|key| key.namespace.clone()).collect();
        found.dedup();
        found.retain(|namespace| after.is_none_or(|after| namespace.as_str() > after));
        found.truncate(limit);
        Ok(found)
    }

    async fn count(&self, kind: Kind, namespace: &str) -> Result<usize, LedgerError> {
        let of = |key: &&Key| key.kind == kind && key.namespace == namespace;
        Ok(self.kept().keys().filter(of).count())
    }
}

/// As with real storage, others have a turn before who asked goes on.
async fn turn<T>(answer: T) -> T {
    tokio::task::yield_now().await;
    answer
}

fn bytes(write: &Write) -> usize {
    match write {
        Write::Put { body, .. } => body.len(),
        Write::Remove { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::MemoryLedger;

    crate::ledger_suite!((Arc::new(MemoryLedger::default()), ()));
}
