//! Upload sessions.

use std::time::SystemTime;

use oci::{RepoName, UploadId};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::Session;
use super::column::{count, millis, number, time, word};

pub(super) const OF_OWNER: &str = "SELECT 1 FROM uploads WHERE owner = ?1 LIMIT 1 OFFSET ?2";

pub(super) fn create(c: &Connection, session: &Session, most: usize) -> rusqlite::Result<bool> {
    let last = number(most.saturating_sub(1));
    let is_full = c
        .prepare_cached(OF_OWNER)?
        .exists(params![session.owner, last])?;
    if is_full {
        return Ok(false);
    }
    c.prepare_cached(
        "INSERT INTO uploads (id, repo, owner, bytes, hashers, touched) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        session.id.to_string(),
        session.repo.as_str(),
        session.owner,
        number(session.offset),
        session.hashers,
        millis(session.touched),
    ])
    .map(|_| true)
}

pub(super) fn find(c: &Connection, id: &UploadId) -> rusqlite::Result<Option<Session>> {
    c.prepare_cached("SELECT id, repo, owner, bytes, hashers, touched FROM uploads WHERE id = ?1")?
        .query_row([id.to_string()], session)
        .optional()
}

fn session(row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        id: word(row, 0)?,
        repo: word(row, 1)?,
        owner: row.get(2)?,
        offset: count(row, 3)?,
        hashers: row.get(4)?,
        touched: time(row, 5)?,
    })
}

pub(super) fn checkpoint(
    c: &Connection,
    id: &UploadId,
    offset: u64,
    hashers: &[u8],
    now: SystemTime,
) -> rusqlite::Result<bool> {
    let changed = c
        .prepare_cached("UPDATE uploads SET bytes = ?2, hashers = ?3, touched = ?4 WHERE id = ?1")?
        .execute(params![
            id.to_string(),
            number(offset),
            hashers,
            millis(now)
        ])?;
    Ok(changed > 0)
}

pub(super) fn delete(c: &Connection, id: &UploadId) -> rusqlite::Result<bool> {
    let changed = c
        .prepare_cached("DELETE FROM uploads WHERE id = ?1")?
        .execute([id.to_string()])?;
    Ok(changed > 0)
}

pub(super) const IDLE: &str =
    "SELECT id, repo FROM uploads WHERE touched < ?1 ORDER BY touched LIMIT ?2";

pub(super) fn idle(
    c: &Connection,
    idle_since: SystemTime,
    limit: usize,
) -> rusqlite::Result<Vec<(UploadId, RepoName)>> {
    c.prepare_cached(IDLE)?
        .query_map(params![millis(idle_since), number(limit)], |row| {
            Ok((word(row, 0)?, word(row, 1)?))
        })?
        .collect()
}
