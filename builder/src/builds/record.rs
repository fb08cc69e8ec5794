//! Records as values: JSON out of the ledger and into it, with revisions.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::brief::Brief;
use super::turns::Turns;
use super::{BuildsError, What};
use crate::ledger::{Kept, Key, Ledger, LedgerError, Write};
use crate::records::{Build, BuilderImage, Run, Secret};

/// A record and the revision that it was read at; whoever writes it must name that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded<T> {
    /// What is recorded.
    pub value: T,
    /// 1 when it was made, one more with each write.
    pub revision: u64,
}

/// Which part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageOf {
    /// Names in byte order after this one; `None`: from the first.
    pub after: Option<String>,
    /// At most so many; what is above [`PageOf::MAX`] counts as that, 0 as 100.
    pub limit: usize,
}

impl PageOf {
    /// The most records on one page.
    pub const MAX: usize = 500;

    fn limit(&self) -> usize {
        match self.limit {
            0 => 100,
            limit => limit.min(Self::MAX),
        }
    }
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// In byte order of names, runs the newest first; those that cannot be read are left out.
    pub items: Vec<Recorded<T>>,
    /// Whether more may come after the last: only an empty page is surely the end.
    pub more: bool,
}

/// What is a record.
pub(super) trait Record: Serialize + DeserializeOwned {
    const WHAT: What;

    /// Namespace and name.
    fn place(&self) -> (&str, &str);

    /// Whether something is still to be done about it.
    fn is_open(&self) -> bool {
        false
    }

    /// What lists look at instead of it.
    fn brief(&self) -> Option<Vec<u8>> {
        None
    }

    fn key(&self) -> Key {
        let (namespace, name) = self.place();
        key::<Self>(namespace, name)
    }
}

macro_rules! record {
    ($($type:ident),*) => {
        $(impl Record for $type {
            const WHAT: What = What::$type;

            fn place(&self) -> (&str, &str) {
                (&self.metadata.namespace, &self.metadata.name)
            }
        })*
    };
}

record!(BuilderImage, Secret);

impl Record for Build {
    const WHAT: What = What::Build;

    fn place(&self) -> (&str, &str) {
        (&self.metadata.namespace, &self.metadata.name)
    }

    /// Something starts runs of it by itself: [`crate::triggers`] finds it by this.
    fn is_open(&self) -> bool {
        let triggers = &self.spec.triggers;
        triggers.image || triggers.schedule.is_some()
    }
}

impl Record for Run {
    const WHAT: What = What::Run;

    fn place(&self) -> (&str, &str) {
        (&self.metadata.namespace, &self.metadata.name)
    }

    fn is_open(&self) -> bool {
        !self.state.has_ended()
    }

    fn brief(&self) -> Option<Vec<u8>> {
        Brief::of(self).bytes()
    }
}

pub(super) fn key<T: Record>(namespace: &str, name: &str) -> Key {
    Key {
        kind: T::WHAT.kind(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

/// The ledger, in values.
#[derive(Debug)]
pub(super) struct Store {
    ledger: Arc<dyn Ledger>,
    /// Records that cannot be read and were told of in the log: once each, while they are few.
    told: Mutex<HashSet<Key>>,
    /// Whoever counts a namespace's records of a kind before they make one does it alone.
    making: Turns,
}

/// Unreadable records that are remembered as told of.
const MOST_TOLD: usize = 1_000;

impl Store {
    pub(super) fn new(ledger: Arc<dyn Ledger>) -> Self {
        Self {
            ledger,
            told: Mutex::default(),
            making: Turns::default(),
        }
    }

    pub(super) fn ledger(&self) -> &dyn Ledger {
        &*self.ledger
    }

    /// A record of a list; `None` if it cannot be read, which keeps nobody from the others.
    pub(super) fn readable<T: Record>(&self, kept: &Kept) -> Option<Recorded<T>> {
        self.read(kept).ok()
    }

    fn read<T: Record>(&self, kept: &Kept) -> Result<Recorded<T>, BuildsError> {
        let record = read(kept);
        if let Err(error) = &record {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.len() < MOST_TOLD && told.insert(kept.key.clone()) {
                let kind = kept.key.kind.as_str();
                tracing::error!(kind, %error, "a record is passed over");
            }
        }
        record
    }

    pub(super) async fn find<T: Record>(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Recorded<T>>, BuildsError> {
        let kept = self.ledger.get(&key::<T>(namespace, name)).await?;
        kept.map(|kept| self.read(&kept)).transpose()
    }

    pub(super) async fn get<T: Record>(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Recorded<T>, BuildsError> {
        let found = self.find(namespace, name).await?;
        found.ok_or_else(|| BuildsError::NotFound {
            what: T::WHAT,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }

    /// A record that is to be removed. `None`: it could not be read, and is gone.
    pub(super) async fn get_to_remove<T: Record>(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Recorded<T>>, BuildsError> {
        match self.get(namespace, name).await {
            Err(BuildsError::Unreadable { .. }) => {
                self.remove_unread::<T>(namespace, name).await?;
                Ok(None)
            }
            other => other.map(Some),
        }
    }

    /// Removes a record as it is, which nobody could read.
    pub(super) async fn remove_unread<T: Record>(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<(), BuildsError> {
        let key = key::<T>(namespace, name);
        if let Some(Kept { key, revision, .. }) = self.ledger.get(&key).await? {
            self.ledger
                .write(vec![Write::Remove { key, revision }])
                .await?;
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.remove(&key);
        Ok(())
    }

    pub(super) async fn page<T: Record>(
        &self,
        namespace: &str,
        page: &PageOf,
    ) -> Result<Page<T>, BuildsError> {
        let mut after = page.after.clone();
        loop {
            let (kind, limit) = (T::WHAT.kind(), page.limit());
            let kept = self
                .ledger
                .list(kind, namespace, "", after.as_deref(), limit)
                .await?;
            let items: Vec<_> = kept.iter().filter_map(|kept| self.readable(kept)).collect();
            let last = kept.last().map(|last| last.key.name.clone());
            // An empty page would be the end.
            if last.is_none() || !items.is_empty() {
                let more = last.is_some();
                return Ok(Page { items, more });
            }
            after = last;
        }
    }

    /// Makes a record where there must be none, in a namespace that may have at most `most` of them.
    pub(super) async fn make<T: Record>(
        &self,
        value: T,
        most: usize,
    ) -> Result<Recorded<T>, BuildsError> {
        let (kind, namespace) = (T::WHAT.kind(), value.place().0);
        let _alone = self.making.of((kind, namespace)).await;
        if self.ledger.count(kind, namespace).await? >= most {
            return Err(BuildsError::TooMany {
                what: T::WHAT,
                namespace: namespace.to_owned(),
                most,
            });
        }
        match self.ledger.write(vec![put(&value, None)?]).await {
            Ok(()) => Ok(Recorded { value, revision: 1 }),
            Err(LedgerError::Conflict(_)) => Err(exists(&value)),
            Err(error) => Err(error.into()),
        }
    }

    /// Replaces a record of a revision.
    pub(super) async fn replace<T: Record>(
        &self,
        recorded: Recorded<T>,
    ) -> Result<Recorded<T>, BuildsError> {
        let Recorded { value, revision } = recorded;
        match self.ledger.write(vec![put(&value, Some(revision))?]).await {
            Ok(()) => Ok(Recorded {
                value,
                revision: revision + 1,
            }),
            Err(LedgerError::Conflict(_)) => Err(changed(&value)),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn remove<T: Record>(
        &self,
        recorded: &Recorded<T>,
    ) -> Result<(), BuildsError> {
        match self.ledger.write(vec![remove(recorded)]).await {
            Err(LedgerError::Conflict(_)) => Err(changed(&recorded.value)),
            other => Ok(other?),
        }
    }
}

/// A write of a value.
pub(super) fn put<T: Record>(value: &T, revision: Option<u64>) -> Result<Write, BuildsError> {
    let body = serde_json::to_vec(value)
        .map_err(|error| BuildsError::Unavailable(format!("a record is no JSON: {error}")))?;
    Ok(Write::Put {
        key: value.key(),
        revision,
        open: value.is_open(),
        brief: value.brief(),
        body,
    })
}

pub(super) fn remove<T: Record>(recorded: &Recorded<T>) -> Write {
    Write::Remove {
        key: recorded.value.key(),
        revision: recorded.revision,
    }
}

fn read<T: Record>(kept: &Kept) -> Result<Recorded<T>, BuildsError> {
    let value = serde_json::from_slice(&kept.body).map_err(|error| BuildsError::Unreadable {
        what: T::WHAT,
        namespace: kept.key.namespace.clone(),
        name: kept.key.name.clone(),
        // Not the error's own words: they quote what is there.
        why: match error.classify() {
            Category::Data => format!("column {} is not as it should be", error.column()),
            Category::Syntax | Category::Eof | Category::Io => "it is no JSON".to_owned(),
        },
    })?;
    Ok(Recorded {
        value,
        revision: kept.revision,
    })
}

pub(super) fn exists<T: Record>(value: &T) -> BuildsError {
    let (namespace, name) = value.place();
    BuildsError::Exists {
        what: T::WHAT,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

pub(super) fn changed<T: Record>(value: &T) -> BuildsError {
    BuildsError::Changed {
        what: T::WHAT,
        name: value.place().1.to_owned(),
    }
}
