//! The audit record.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use oci::{Digest, RepoName};
use rusqlite::{Connection, OptionalExtension as _, Row as SqlRow, params};

use super::SqliteIndex;
use super::column::{maybe, millis, number, time, word};
use super::writer::Sync;
use crate::audit::{
    Cause, Class, Entry, Groups, Origin, Outcome, Page, Place, Position, Query, Row, Verb,
};
use crate::index::AuditTable;
use crate::{Durability, StorageError};

#[async_trait]
impl AuditTable for SqliteIndex {
    async fn note(&self, entries: Vec<Entry>, durability: Durability) -> Result<(), StorageError> {
        let sync = match durability {
            Durability::Now => Sync::Durable,
            Durability::AtFlush => Sync::Soft,
        };
        self.write(sync, move |c| {
            entries.iter().try_for_each(|entry| add(c, entry))
        })
        .await
    }

    async fn audit_page(
        &self,
        query: &Query,
        before: Option<Position>,
        limit: usize,
    ) -> Result<Page, StorageError> {
        let query = query.clone();
        self.read(move |c| page(c, &query, before, limit)).await
    }

    async fn audit_since(&self, after: i64, limit: usize) -> Result<Vec<Row>, StorageError> {
        self.read(move |c| since(c, after, limit)).await
    }

    async fn audit_last(&self) -> Result<i64, StorageError> {
        self.read(last).await
    }

    async fn audit_bound(
        &self,
        class: Class,
        most: u64,
    ) -> Result<Option<SystemTime>, StorageError> {
        self.read(move |c| bound(c, class, most)).await
    }

    async fn expire_audit(
        &self,
        class: Class,
        before: SystemTime,
        limit: usize,
    ) -> Result<usize, StorageError> {
        self.write(Sync::Soft, move |c| expire(c, class, before, limit))
            .await
    }

    async fn carry_audit(&self, rows: Vec<Row>) -> Result<(), StorageError> {
        self.write(Sync::Soft, move |c| {
            rows.iter().try_for_each(|row| carry(c, row))
        })
        .await
    }
}

/// Rows looked at for a page: a question that few rows answer must not keep a reader for long.
const LOOKED_AT: usize = 10_000;

/// Adds a row.
pub(super) fn add(c: &Connection, entry: &Entry) -> rusqlite::Result<()> {
    insert(c, None, entry)
}

/// Adds a row as it was in another index.
pub(super) fn carry(c: &Connection, row: &Row) -> rusqlite::Result<()> {
    insert(c, Some(row.id), &row.entry)
}

fn insert(c: &Connection, id: Option<i64>, entry: &Entry) -> rusqlite::Result<()> {
    let origin = &entry.origin;
    c.prepare_cached(
        "INSERT INTO audit (id, class, at, request, user, provider, uid, credential, credential_id, client, agent, verb,
             namespace, repository, reference, digest, previous, outcome, status, reason, user_groups, more_groups)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)",
    )?
    .execute(params![
        id,
        entry.class().as_str(),
        millis(origin.time),
        origin.request_id,
        origin.user,
        origin.provider,
        origin.uid,
        origin.credential.as_str(),
        origin.credential_id,
        origin.client.map(|client| client.to_string()),
        origin.user_agent,
        entry.verb.as_str(),
        entry.place.namespace(),
        entry.place.repository().map(RepoName::as_str),
        entry.reference,
        entry.digest.map(|digest| digest.to_string()),
        entry.previous.map(|digest| digest.to_string()),
        entry.outcome.as_str(),
        entry.status,
        entry.reason,
        written(&origin.groups),
        origin.groups.more,
    ])
    .map(drop)
}

/// `NULL` where there are none, as in the rows of older programs.
fn written(groups: &Groups) -> Option<String> {
    // Texts always serialise.
    let text = || serde_json::to_string(&groups.names).unwrap_or_default();
    (!groups.names.is_empty()).then(text)
}

/// A change in a repository, on its way into the record.
pub(super) struct Change<'a> {
    pub(super) verb: Verb,
    pub(super) repo: &'a RepoName,
    pub(super) reference: Option<&'a str>,
    pub(super) digest: Option<Digest>,
    pub(super) previous: Option<Digest>,
    pub(super) reason: Option<String>,
}

impl<'a> Change<'a> {
    pub(super) fn of(verb: Verb, repo: &'a RepoName) -> Self {
        Self {
            verb,
            repo,
            reference: None,
            digest: None,
            previous: None,
            reason: None,
        }
    }

    /// Of this content, and what else there is to say.
    pub(super) fn with(self, digest: &Digest, reason: Option<String>) -> Self {
        Self {
            digest: Some(*digest),
            reason,
            ..self
        }
    }

    /// Adds its row, if somebody is to be named for it.
    pub(super) fn record(self, c: &Connection, cause: &Cause) -> rusqlite::Result<()> {
        let Some(origin) = cause.origin() else {
            return Ok(());
        };
        let status = if self.verb == Verb::Delete { 202 } else { 201 };
        let place = Place::Repository(self.repo.clone());
        let entry = Entry::new(origin, self.verb, place, Outcome::Allowed, status);
        let entry = Entry {
            reference: self.reference.map(str::to_owned),
            digest: self.digest,
            previous: self.previous,
            ..entry.because(self.reason.as_deref())
        };
        add(c, &entry)
    }
}

/// Whole rows, as `read` takes them.
macro_rules! rows {
    ($condition:literal) => {
        concat!(
            "SELECT id, at, request, user, provider, uid, credential, credential_id, client, agent, verb, namespace,
                 repository, reference, digest, previous, outcome, status, reason, user_groups, more_groups
             FROM audit WHERE ",
            $condition
        )
    };
}

/// Below a place, newest first.
macro_rules! newest_first {
    ($key:literal) => {
        concat!(
            rows!($key),
            " AND at >= ?2 AND (at, id) < (?3, ?4) ORDER BY at DESC, id DESC LIMIT ?5"
        )
    };
}

pub(super) const BY_REPOSITORY: &str = newest_first!("repository = ?1");
pub(super) const BY_USER: &str = newest_first!("user = ?1");
pub(super) const BY_NAMESPACE: &str = newest_first!("namespace = ?1");
pub(super) const BY_TIME: &str = newest_first!("?1 = ''");

/// One condition is searched by, the others are held against what is found.
pub(super) fn page(
    c: &Connection,
    query: &Query,
    before: Option<Position>,
    limit: usize,
) -> rusqlite::Result<Page> {
    let (sql, key) = match query {
        Query {
            repository: Some(repo),
            ..
        } => (BY_REPOSITORY, repo.as_str()),
        Query {
            user: Some(user), ..
        } => (BY_USER, user.as_str()),
        Query {
            namespace: Some(namespace),
            ..
        } => (BY_NAMESPACE, namespace.as_str()),
        _ => (BY_TIME, ""),
    };
    let since = query.since.map_or(0, millis);
    let start = Position {
        at: query.until.map_or(i64::MAX, millis),
        id: 0,
    };
    // Positions go down: the lower one is the stricter.
    let start = before.map_or(start, |before| {
        if (before.at, before.id) < (start.at, start.id) {
            before
        } else {
            start
        }
    });
    let mut statement = c.prepare_cached(sql)?;
    let mut found = statement.query(params![key, since, start.at, start.id, number(LOOKED_AT)])?;
    let mut page = Page::default();
    let mut looked_at = 0;
    while let Some(row) = found.next()? {
        if page.rows.len() == limit {
            page.next = page.rows.last().map(position);
            return Ok(page);
        }
        let row = read(row)?;
        looked_at += 1;
        if looked_at == LOOKED_AT {
            page.next = Some(position(&row));
        }
        if query.admits(&row) {
            page.rows.push(row);
        }
    }
    Ok(page)
}

fn position(row: &Row) -> Position {
    Position {
        at: millis(row.entry.origin.time),
        id: row.id,
    }
}

/// Rows after one, oldest first.
pub(super) fn since(c: &Connection, after: i64, limit: usize) -> rusqlite::Result<Vec<Row>> {
    c.prepare_cached(rows!("id > ?1 ORDER BY id LIMIT ?2"))?
        .query_map([after, number(limit)], read)?
        .collect()
}

/// The last number that was given, also when its row has gone.
pub(super) fn last(c: &Connection) -> rusqlite::Result<i64> {
    c.prepare_cached("SELECT coalesce(max(id), 0) FROM audit")?
        .query_row([], |row| row.get(0))
}

pub(super) const BOUND: &str =
    "SELECT at FROM audit WHERE class = ?1 ORDER BY at DESC LIMIT 1 OFFSET ?2";

/// The time of the oldest row that stays, where more than `most` are there.
pub(super) fn bound(
    c: &Connection,
    class: Class,
    most: u64,
) -> rusqlite::Result<Option<SystemTime>> {
    let last = number(most.saturating_sub(1));
    c.prepare_cached(BOUND)?
        .query_row(params![class.as_str(), last], |row| time(row, 0))
        .optional()
}

pub(super) const EXPIRED: &str =
    "SELECT id FROM audit WHERE class = ?1 AND at < ?2 ORDER BY at LIMIT ?3";

/// Removes rows of a class that are older, at most `limit`.
pub(super) fn expire(
    c: &Connection,
    class: Class,
    before: SystemTime,
    limit: usize,
) -> rusqlite::Result<usize> {
    let ids: Vec<i64> = c
        .prepare_cached(EXPIRED)?
        .query_map(
            params![class.as_str(), millis(before), number(limit)],
            |row| row.get(0),
        )?
        .collect::<Result<_, _>>()?;
    let mut delete = c.prepare_cached("DELETE FROM audit WHERE id = ?1")?;
    for id in &ids {
        delete.execute([id])?;
    }
    Ok(ids.len())
}

fn read(row: &SqlRow<'_>) -> rusqlite::Result<Row> {
    let namespace: Option<String> = row.get(11)?;
    let groups: Option<String> = row.get(19)?;
    let place = match (maybe(row, 12)?, namespace) {
        (Some(repo), _) => Place::Repository(repo),
        (None, Some(namespace)) => Place::Namespace(namespace),
        (None, None) => Place::Registry,
    };
    Ok(Row {
        id: row.get(0)?,
        entry: Entry {
            origin: Arc::new(Origin {
                time: time(row, 1)?,
                request_id: row.get(2)?,
                user: row.get(3)?,
                provider: row.get(4)?,
                uid: row.get(5)?,
                groups: Groups {
                    // What is no list of texts was never written: the row tells the rest all the same.
                    names: groups
                        .and_then(|text| serde_json::from_str(&text).ok())
                        .unwrap_or_default(),
                    more: row.get(20)?,
                },
                credential: word(row, 6)?,
                credential_id: row.get(7)?,
                client: maybe(row, 8)?,
                user_agent: row.get(9)?,
            }),
            verb: word(row, 10)?,
            place,
            reference: row.get(13)?,
            digest: maybe(row, 14)?,
            previous: maybe(row, 15)?,
            outcome: word(row, 16)?,
            status: row.get(17)?,
            reason: row.get(18)?,
        },
    })
}
