//! Records of others.

use async_trait::async_trait;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Params, Row, params};

use super::SqliteIndex;
use super::column::{count, number, only_count};
use super::writer::Sync;
use crate::StorageError;
use crate::index::records::MAX_BATCH_BYTES;
use crate::index::{
    Record, RecordBatch, RecordBrief, RecordKey, RecordTable, RecordWrite, RecordsWritten,
};

#[async_trait]
impl RecordTable for SqliteIndex {
    async fn record(&self, key: &RecordKey) -> Result<Option<Record>, StorageError> {
        let key = key.clone();
        self.read(move |c| find(c, &key)).await
    }

    async fn write_records(&self, batch: RecordBatch) -> Result<RecordsWritten, StorageError> {
        self.write(Sync::Durable, move |c| write(c, &batch)).await
    }

    async fn records(
        &self,
        kind: &str,
        namespace: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Record>, StorageError> {
        let (kind, namespace) = (kind.to_owned(), namespace.to_owned());
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        self.read(move |c| list(c, &kind, &namespace, &prefix, after.as_deref(), limit))
            .await
    }

    async fn briefs(
        &self,
        kind: &str,
        namespace: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<RecordBrief>, StorageError> {
        let (kind, namespace) = (kind.to_owned(), namespace.to_owned());
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        self.read(move |c| briefs(c, &kind, &namespace, &prefix, after.as_deref(), limit))
            .await
    }

    async fn open_records(
        &self,
        kind: &str,
        after: Option<(&str, &str)>,
        limit: usize,
    ) -> Result<Vec<Record>, StorageError> {
        let kind = kind.to_owned();
        // No name is empty: this is before all.
        let (namespace, name) = after.unwrap_or_default();
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        self.read(move |c| {
            let statement = c.prepare_cached(OPEN)?;
            let values = params![kind, namespace, name, number(limit)];
            page(statement, values, |_| true)
        })
        .await
    }

    async fn record_namespaces(
        &self,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StorageError> {
        let (kind, after) = (kind.to_owned(), after.map(str::to_owned));
        self.read(move |c| namespaces(c, &kind, after, limit)).await
    }

    async fn count_records(&self, kind: &str, namespace: &str) -> Result<u64, StorageError> {
        let (kind, namespace) = (kind.to_owned(), namespace.to_owned());
        self.read(move |c| {
            c.prepare_cached(COUNT)?
                .query_row(params![kind, namespace], only_count)
        })
        .await
    }

    async fn all_records(
        &self,
        after: Option<&RecordKey>,
        limit: usize,
    ) -> Result<Vec<Record>, StorageError> {
        let after = after.cloned();
        self.read(move |c| {
            let after = after.as_ref();
            let part = |part: fn(&RecordKey) -> &String| after.map_or("", |key| part(key));
            let (kind, namespace) = (part(|key| &key.kind), part(|key| &key.namespace));
            let values = params![kind, namespace, part(|key| &key.name), number(limit)];
            page(c.prepare_cached(EVERY)?, values, |_| true)
        })
        .await
    }

    async fn carry_records(&self, records: Vec<Record>) -> Result<(), StorageError> {
        self.write(Sync::Soft, move |c| {
            records.iter().try_for_each(|record| insert(c, record))
        })
        .await
    }
}

pub(super) const ONE: &str =
    "SELECT kind, namespace, name, revision, open, body, brief FROM records
    WHERE kind = ?1 AND namespace = ?2 AND name = ?3";
pub(super) const REVISION: &str =
    "SELECT revision FROM records WHERE kind = ?1 AND namespace = ?2 AND name = ?3";
pub(super) const LIST: &str =
    "SELECT kind, namespace, name, revision, open, body, brief FROM records
    WHERE kind = ?1 AND namespace = ?2 AND name >= ?3 ORDER BY name LIMIT ?4";
pub(super) const BRIEFS: &str = "SELECT name, brief FROM records INDEXED BY briefs
    WHERE kind = ?1 AND namespace = ?2 AND name >= ?3 ORDER BY name LIMIT ?4";
pub(super) const OPEN: &str =
    "SELECT kind, namespace, name, revision, open, body, brief FROM records
    WHERE kind = ?1 AND open AND (namespace, name) > (?2, ?3) ORDER BY namespace, name LIMIT ?4";
pub(super) const EVERY: &str =
    "SELECT kind, namespace, name, revision, open, body, brief FROM records
    WHERE (kind, namespace, name) > (?1, ?2, ?3) ORDER BY kind, namespace, name LIMIT ?4";
pub(super) const NAMESPACE: &str = "SELECT namespace FROM records
    WHERE kind = ?1 AND namespace >= ?2 ORDER BY namespace LIMIT 1";
pub(super) const COUNT: &str = "SELECT count(*) FROM records WHERE kind = ?1 AND namespace = ?2";

fn find(c: &Connection, key: &RecordKey) -> rusqlite::Result<Option<Record>> {
    c.prepare_cached(ONE)?
        .query_row(params![key.kind, key.namespace, key.name], record)
        .optional()
}

/// Looks at all revisions before it changes anything: a batch names no record twice.
fn write(c: &Connection, batch: &RecordBatch) -> rusqlite::Result<RecordsWritten> {
    for write in batch.writes() {
        let key = write.key();
        let revision = c
            .prepare_cached(REVISION)?
            .query_row(params![key.kind, key.namespace, key.name], |row| {
                count(row, 0)
            })
            .optional()?;
        if revision != write.expected() {
            return Ok(RecordsWritten::Conflict(key.clone()));
        }
    }
    batch
        .writes()
        .iter()
        .try_for_each(|write| apply(c, write))
        .map(|()| RecordsWritten::Done)
}

fn apply(c: &Connection, write: &RecordWrite) -> rusqlite::Result<()> {
    let RecordKey {
        kind,
        namespace,
        name,
    } = write.key();
    match write {
        RecordWrite::Put {
            open, brief, body, ..
        } => c
            .prepare_cached(
                "INSERT INTO records (kind, namespace, name, revision, open, brief, body) VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6)
                 ON CONFLICT (kind, namespace, name) DO UPDATE SET
                 revision = revision + 1, open = excluded.open, brief = excluded.brief, body = excluded.body",
            )?
            .execute(params![kind, namespace, name, open, brief, body]),
        RecordWrite::Remove { .. } => c
            .prepare_cached("DELETE FROM records WHERE kind = ?1 AND namespace = ?2 AND name = ?3")?
            .execute(params![kind, namespace, name]),
    }
    .map(drop)
}

/// Records one as it was recorded elsewhere.
fn insert(c: &Connection, record: &Record) -> rusqlite::Result<()> {
    let RecordKey {
        kind,
        namespace,
        name,
    } = &record.key;
    c.prepare_cached(
        "INSERT INTO records (kind, namespace, name, revision, open, body, brief) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        kind,
        namespace,
        name,
        number(record.revision),
        record.open,
        record.body,
        record.brief,
    ])
    .map(drop)
}

fn list(
    c: &Connection,
    kind: &str,
    namespace: &str,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> rusqlite::Result<Vec<Record>> {
    let values = params![kind, namespace, first(prefix, after), number(limit)];
    page(c.prepare_cached(LIST)?, values, |record| {
        record.key.name.starts_with(prefix)
    })
}

fn briefs(
    c: &Connection,
    kind: &str,
    namespace: &str,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> rusqlite::Result<Vec<RecordBrief>> {
    let values = params![kind, namespace, first(prefix, after), number(limit)];
    let mut page = Vec::new();
    let mut statement = c.prepare_cached(BRIEFS)?;
    let mut rows = statement.query(values)?;
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        if !name.starts_with(prefix) {
            break;
        }
        let brief = row.get(1)?;
        page.push(RecordBrief { name, brief });
    }
    Ok(page)
}

/// The first name that may begin with `prefix` after another.
fn first(prefix: &str, after: Option<&str>) -> String {
    // The name that comes right after another is that one and a NUL.
    let next = after.map(|after| format!("{after}\0")).unwrap_or_default();
    next.max(prefix.to_owned())
}

/// One after the other: each is one step, however many records it has.
fn namespaces(
    c: &Connection,
    kind: &str,
    after: Option<String>,
    limit: usize,
) -> rusqlite::Result<Vec<String>> {
    let mut statement = c.prepare_cached(NAMESPACE)?;
    let mut found: Vec<String> = Vec::new();
    let mut after = after;
    while found.len() < limit {
        let first = after.map(|after| format!("{after}\0")).unwrap_or_default();
        let next: Option<String> = statement
            .query_row(params![kind, first], |row| row.get(0))
            .optional()?;
        let Some(next) = next else {
            break;
        };
        after = Some(next.clone());
        found.push(next);
    }
    Ok(found)
}

/// As many rows as a page may weigh, as long as they are wanted; what does not fit is not read.
fn page(
    mut statement: CachedStatement<'_>,
    values: impl Params,
    is_wanted: impl Fn(&Record) -> bool,
) -> rusqlite::Result<Vec<Record>> {
    let mut page = Vec::new();
    let mut weight = 0;
    let mut rows = statement.query(values)?;
    while let Some(row) = rows.next()? {
        weight += row.get_ref(5)?.as_blob()?.len();
        if weight > MAX_BATCH_BYTES && !page.is_empty() {
            break;
        }
        let record = record(row)?;
        if !is_wanted(&record) {
            break;
        }
        page.push(record);
    }
    Ok(page)
}

fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record {
        key: RecordKey {
            kind: row.get(0)?,
            namespace: row.get(1)?,
            name: row.get(2)?,
        },
        revision: count(row, 3)?,
        open: row.get(4)?,
        body: row.get(5)?,
        brief: row.get(6)?,
    })
}
