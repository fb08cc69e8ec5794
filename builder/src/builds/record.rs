//! Records as values: JSON out of the ledger and into it, with revisions.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

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
    /// In byte order of names.
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
}

pub(super) fn key<T: Record>(namespace: &str, name: &str) -> Key {
    Key {
        kind: T::WHAT.kind(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

/// The ledger, in values.
#[derive(Clone, Debug)]
pub(super) struct Store(Arc<dyn Ledger>);

impl Store {
    pub(super) fn new(ledger: Arc<dyn Ledger>) -> Self {
        Self(ledger)
    }

    pub(super) fn ledger(&self) -> &dyn Ledger {
        &*self.0
    }

    pub(super) async fn find<T: Record>(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Recorded<T>>, BuildsError> {
        let kept = self.0.get(&key::<T>(namespace, name)).await?;
        kept.as_ref().map(read).transpose()
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

    pub(super) async fn page<T: Record>(
        &self,
        namespace: &str,
        page: &PageOf,
    ) -> Result<Page<T>, BuildsError> {
        let limit = page.limit();
        let kind = T::WHAT.kind();
        let after = page.after.as_deref();
        let kept = self.0.list(kind, namespace, "", after, limit).await?;
        let items: Result<Vec<_>, _> = kept.iter().map(read).collect();
        let items = items?;
        let more = !items.is_empty();
        Ok(Page { items, more })
    }

    /// All records of a namespace whose names begin so.
    pub(super) async fn all<T: Record>(
        &self,
        namespace: &str,
        prefix: &str,
    ) -> Result<Vec<Recorded<T>>, BuildsError> {
        let mut all = Vec::new();
        self.walk(namespace, prefix, |record| all.push(record))
            .await?;
        Ok(all)
    }

    /// Looks at all records of a namespace whose names begin so, some at a time.
    pub(super) async fn walk<T: Record>(
        &self,
        namespace: &str,
        prefix: &str,
        mut look: impl FnMut(Recorded<T>),
    ) -> Result<(), BuildsError> {
        const AT_A_TIME: usize = 100;
        let kind = T::WHAT.kind();
        let mut after: Option<String> = None;
        loop {
            let from = after.as_deref();
            let kept = self
                .0
                .list(kind, namespace, prefix, from, AT_A_TIME)
                .await?;
            let Some(last) = kept.last() else {
                return Ok(());
            };
            after = Some(last.key.name.clone());
            for record in &kept {
                look(read(record)?);
            }
        }
    }

    /// Makes a record where there must be none.
    pub(super) async fn make<T: Record>(&self, value: T) -> Result<Recorded<T>, BuildsError> {
        match self.0.write(vec![put(&value, None)?]).await {
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
        match self.0.write(vec![put(&value, Some(revision))?]).await {
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
        match self.0.write(vec![remove(recorded)]).await {
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
        body,
    })
}

pub(super) fn remove<T: Record>(recorded: &Recorded<T>) -> Write {
    Write::Remove {
        key: recorded.value.key(),
        revision: recorded.revision,
    }
}

pub(super) fn read<T: Record>(kept: &Kept) -> Result<Recorded<T>, BuildsError> {
    let value = serde_json::from_slice(&kept.body).map_err(|error| {
        let Key {
            kind,
            namespace,
            name,
        } = &kept.key;
        BuildsError::Unavailable(format!(
            "the record {} {namespace}/{name} cannot be read: {error}",
            kind.as_str()
        ))
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
