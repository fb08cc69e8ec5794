//! Tokens that users were given, by the hash of their secret.

use std::time::SystemTime;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::SqliteIndex;
use super::column::{millis, number, time};
use super::writer::Sync;
use crate::StorageError;
use crate::index::{KeptToken, TokenTable, WhenFull};

/// How long a token that has ended is still listed.
const KEPT_ENDED: std::time::Duration = std::time::Duration::from_secs(7 * 24 * 3600);

/// How many that were revoked are kept of an owner, the last.
const REVOKED: usize = 100;

pub(super) const LIVE_OF_OWNER: &str = "SELECT count(*) FROM tokens WHERE owner = ?1 AND kind = ?2 AND expires > ?3 AND revoked IS NULL";

#[async_trait]
impl TokenTable for SqliteIndex {
    async fn add_token(
        &self,
        token: &KeptToken,
        most: usize,
        when_full: WhenFull,
        now: SystemTime,
    ) -> Result<bool, StorageError> {
        let token = token.clone();
        self.write(Sync::Durable, move |c| add(c, &token, most, when_full, now))
            .await
    }

    async fn token(&self, id: &str) -> Result<Option<KeptToken>, StorageError> {
        let id = id.to_owned();
        self.read(move |c| find(c, &id)).await
    }

    async fn tokens(
        &self,
        owner: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<KeptToken>, StorageError> {
        let (owner, after) = (
            owner.map(str::to_owned),
            after.unwrap_or_default().to_owned(),
        );
        self.read(move |c| list(c, owner.as_deref(), &after, limit))
            .await
    }

    async fn all_tokens(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<KeptToken>, StorageError> {
        let after = after.unwrap_or_default().to_owned();
        self.read(move |c| all(c, &after, limit)).await
    }

    async fn touch_token(&self, id: &str, now: SystemTime) -> Result<(), StorageError> {
        let id = id.to_owned();
        self.write(Sync::Soft, move |c| touch(c, &id, now)).await
    }

    async fn revoke_token(
        &self,
        owner: Option<&str>,
        id: &str,
        now: SystemTime,
    ) -> Result<bool, StorageError> {
        let (owner, id) = (owner.map(str::to_owned), id.to_owned());
        self.write(Sync::Durable, move |c| {
            revoke(c, owner.as_deref(), &id, now)
        })
        .await
    }
}

/// Records a token, and forgets what ended long ago.
pub(super) fn add(
    c: &Connection,
    token: &KeptToken,
    most: usize,
    when_full: WhenFull,
    now: SystemTime,
) -> rusqlite::Result<bool> {
    let long_ago = now
        .checked_sub(KEPT_ENDED)
        .unwrap_or(SystemTime::UNIX_EPOCH);
    c.prepare_cached("DELETE FROM tokens WHERE expires < ?1")?
        .execute([millis(long_ago)])?;
    let live: i64 = c
        .prepare_cached(LIVE_OF_OWNER)?
        .query_row(params![token.owner, token.kind, millis(now)], |row| {
            row.get(0)
        })?;
    let over = live.saturating_add(1) - number(most);
    if over > 0 {
        match when_full {
            WhenFull::Refuse => return Ok(false),
            WhenFull::ForgetOldest => c
                .prepare_cached(
                    "DELETE FROM tokens WHERE id IN (SELECT id FROM tokens
                     WHERE owner = ?1 AND kind = ?2 AND expires > ?3 AND revoked IS NULL
                     ORDER BY created, id LIMIT ?4)",
                )?
                .execute(params![token.owner, token.kind, millis(now), over])?,
        };
    }
    insert(c, token).map(|()| true)
}

/// Records a token as it was recorded elsewhere.
pub(super) fn insert(c: &Connection, token: &KeptToken) -> rusqlite::Result<()> {
    c.prepare_cached(
        "INSERT INTO tokens (id, kind, owner, hash, created, expires, used, revoked, document)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        token.id,
        token.kind,
        token.owner,
        token.hash,
        millis(token.created),
        millis(token.expires),
        token.used.map(millis),
        token.revoked.map(millis),
        token.document,
    ])
    .map(drop)
}

const ONE: &str = "SELECT id, kind, owner, hash, created, expires, used, revoked, document FROM tokens WHERE id = ?1";

pub(super) fn find(c: &Connection, id: &str) -> rusqlite::Result<Option<KeptToken>> {
    c.prepare_cached(ONE)?.query_row([id], token).optional()
}

pub(super) const OF_OWNER: &str =
    "SELECT id, kind, owner, hash, created, expires, used, revoked, document FROM tokens
    WHERE owner = ?1 AND id > ?2 AND revoked IS NULL ORDER BY id LIMIT ?3";
pub(super) const OF_ALL: &str =
    "SELECT id, kind, owner, hash, created, expires, used, revoked, document FROM tokens
    WHERE id > ?1 AND revoked IS NULL ORDER BY id LIMIT ?2";
pub(super) const ALL: &str =
    "SELECT id, kind, owner, hash, created, expires, used, revoked, document FROM tokens
    WHERE id > ?1 ORDER BY id LIMIT ?2";

pub(super) fn list(
    c: &Connection,
    owner: Option<&str>,
    after: &str,
    limit: usize,
) -> rusqlite::Result<Vec<KeptToken>> {
    let limit = number(limit);
    match owner {
        Some(owner) => c
            .prepare_cached(OF_OWNER)?
            .query_map(params![owner, after, limit], token)?
            .collect(),
        None => c
            .prepare_cached(OF_ALL)?
            .query_map(params![after, limit], token)?
            .collect(),
    }
}

pub(super) fn all(c: &Connection, after: &str, limit: usize) -> rusqlite::Result<Vec<KeptToken>> {
    c.prepare_cached(ALL)?
        .query_map(params![after, number(limit)], token)?
        .collect()
}

fn token(row: &Row<'_>) -> rusqlite::Result<KeptToken> {
    let maybe_time = |column| {
        let there: Option<i64> = row.get(column)?;
        there.map(|_| time(row, column)).transpose()
    };
    Ok(KeptToken {
        id: row.get(0)?,
        kind: row.get(1)?,
        owner: row.get(2)?,
        hash: row.get(3)?,
        created: time(row, 4)?,
        expires: time(row, 5)?,
        used: maybe_time(6)?,
        revoked: maybe_time(7)?,
        document: row.get(8)?,
    })
}

pub(super) fn touch(c: &Connection, id: &str, now: SystemTime) -> rusqlite::Result<()> {
    // Replicas write without knowing of each other: the time only grows.
    c.prepare_cached("UPDATE tokens SET used = max(coalesce(used, 0), ?2) WHERE id = ?1")?
        .execute(params![id, millis(now)])
        .map(drop)
}

pub(super) const REVOKED_OF_OWNER: &str =
    "SELECT id FROM tokens WHERE owner = (SELECT owner FROM tokens WHERE id = ?1) AND revoked IS NOT NULL
    ORDER BY revoked DESC, id LIMIT -1 OFFSET ?2";

/// Takes a token away. It is kept until its end, so that whoever still comes with it is told apart from a stranger.
pub(super) fn revoke(
    c: &Connection,
    owner: Option<&str>,
    id: &str,
    now: SystemTime,
) -> rusqlite::Result<bool> {
    let changed = c
        .prepare_cached(
            "UPDATE tokens SET revoked = ?3
             WHERE id = ?1 AND (?2 IS NULL OR owner = ?2) AND revoked IS NULL",
        )?
        .execute(params![id, owner, millis(now)])?;
    let too_many: Vec<String> = c
        .prepare_cached(REVOKED_OF_OWNER)?
        .query_map(params![id, number(REVOKED)], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut delete = c.prepare_cached("DELETE FROM tokens WHERE id = ?1")?;
    for id in too_many {
        delete.execute([id])?;
    }
    Ok(changed > 0)
}
