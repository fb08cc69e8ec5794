//! Blobs, and which repositories hold them.

use std::time::SystemTime;

use oci::{Digest, RepoName};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::column::{count, millis, number, only_count, word};
use super::{Link, Unlink, journal};

pub(super) const SIZE: &str = "SELECT b.size FROM blobs b, repositories r, repo_blobs l
         WHERE b.digest = ?1 AND r.name = ?2 AND l.repo = r.id AND l.blob = b.id AND b.size IS NOT NULL";

/// The size of a blob that the repository holds.
pub(super) fn size(
    c: &Connection,
    repo: &RepoName,
    digest: &Digest,
) -> rusqlite::Result<Option<u64>> {
    c.prepare_cached(SIZE)?
        .query_row(params![digest.to_string(), repo.as_str()], only_count)
        .optional()
}

/// The size of a blob whose bytes must be there.
pub(super) fn stored(c: &Connection, digest: &Digest) -> rusqlite::Result<Option<u64>> {
    c.prepare_cached("SELECT size FROM blobs WHERE digest = ?1 AND size IS NOT NULL")?
        .query_row([digest.to_string()], only_count)
        .optional()
}

/// Those that the repository does not hold, each once.
pub(super) fn missing(
    c: &Connection,
    repo: &RepoName,
    digests: &[Digest],
) -> rusqlite::Result<Vec<Digest>> {
    let mut missing: Vec<Digest> = Vec::new();
    for digest in digests {
        if size(c, repo, digest)?.is_none() && !missing.contains(digest) {
            missing.push(*digest);
        }
    }
    Ok(missing)
}

/// Records bytes that are in the store; returns their row.
pub(super) fn record(
    c: &Connection,
    digest: &Digest,
    size: u64,
    now: SystemTime,
) -> rusqlite::Result<i64> {
    c.prepare_cached(
        "INSERT INTO blobs (digest, size, created) VALUES (?1, ?2, ?3)
         ON CONFLICT (digest) DO UPDATE SET size = excluded.size, created = coalesce(created, excluded.created)
         RETURNING id",
    )?
    .query_row(params![digest.to_string(), number(size), millis(now)], |row| row.get(0))
}

/// The row of something that is named, whether or not its bytes are there.
pub(super) fn named(c: &Connection, digest: &Digest) -> rusqlite::Result<i64> {
    let digest = digest.to_string();
    let found = c
        .prepare_cached("SELECT id FROM blobs WHERE digest = ?1")?
        .query_row([&digest], |row| row.get(0))
        .optional()?;
    match found {
        Some(id) => Ok(id),
        None => c
            .prepare_cached("INSERT INTO blobs (digest) VALUES (?1) RETURNING id")?
            .query_row([&digest], |row| row.get(0)),
    }
}

/// The repository's row, made if need be.
pub(super) fn repository(c: &Connection, repo: &RepoName) -> rusqlite::Result<i64> {
    let found = find_repository(c, repo)?;
    match found {
        Some(id) => Ok(id),
        None => c
            .prepare_cached("INSERT INTO repositories (name) VALUES (?1) RETURNING id")?
            .query_row([repo.as_str()], |row| row.get(0)),
    }
}

/// The repository's row.
pub(super) fn find_repository(c: &Connection, repo: &RepoName) -> rusqlite::Result<Option<i64>> {
    c.prepare_cached("SELECT id FROM repositories WHERE name = ?1")?
        .query_row([repo.as_str()], |row| row.get(0))
        .optional()
}

/// Records bytes that are in the store, and that the repository holds them.
pub(super) fn link(
    c: &Connection,
    repo: &RepoName,
    digest: &Digest,
    size: u64,
    now: SystemTime,
) -> rusqlite::Result<()> {
    let id = repository(c, repo)?;
    let blob = record(c, digest, size, now)?;
    hold(c, id, blob, now)?;
    // Also when it was held before: a push heals a link object that was lost.
    journal::add(c, &Link::Layer(repo.clone(), *digest))
}

pub(super) fn hold(c: &Connection, repo: i64, blob: i64, now: SystemTime) -> rusqlite::Result<()> {
    c.prepare_cached("INSERT OR IGNORE INTO repo_blobs (repo, blob, linked) VALUES (?1, ?2, ?3)")?
        .execute(params![repo, blob, millis(now)])
        .map(drop)
}

pub(super) const IS_NEEDED: &str = "SELECT 1 FROM manifest_edges WHERE target = ?1 AND repo = ?2 AND kind IN ('config', 'layer') LIMIT 1";

pub(super) fn unlink(c: &Connection, repo: &RepoName, digest: &Digest) -> rusqlite::Result<Unlink> {
    let held: Option<(i64, i64)> = c
        .prepare_cached(
            "SELECT l.repo, l.blob FROM blobs b, repositories r, repo_blobs l
             WHERE b.digest = ?1 AND r.name = ?2 AND l.repo = r.id AND l.blob = b.id",
        )?
        .query_row(params![digest.to_string(), repo.as_str()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((id, blob)) = held else {
        return Ok(Unlink::Unknown);
    };
    let is_needed = c.prepare_cached(IS_NEEDED)?.exists([blob, id])?;
    if is_needed {
        return Ok(Unlink::Referenced);
    }
    c.prepare_cached("DELETE FROM repo_blobs WHERE repo = ?1 AND blob = ?2")?
        .execute([id, blob])?;
    journal::add(c, &Link::Layer(repo.clone(), *digest))?;
    Ok(Unlink::Done)
}

pub(super) const HOLDERS: &str =
    "SELECT r.name FROM repo_blobs l JOIN repositories r ON r.id = l.repo
         WHERE l.blob = (SELECT id FROM blobs WHERE digest = ?1)
           AND l.repo > coalesce((SELECT id FROM repositories WHERE name = ?2), 0)
         ORDER BY l.repo LIMIT ?3";

/// In the order of rows: the index alone answers, however many hold the blob.
pub(super) fn holders(
    c: &Connection,
    digest: &Digest,
    after: &str,
    limit: usize,
) -> rusqlite::Result<Vec<RepoName>> {
    c.prepare_cached(HOLDERS)?
        .query_map(params![digest.to_string(), after, number(limit)], |row| {
            word(row, 0)
        })?
        .collect()
}

pub(super) fn all(
    c: &Connection,
    after: &str,
    limit: usize,
) -> rusqlite::Result<Vec<(Digest, u64)>> {
    c.prepare_cached(
        "SELECT digest, size FROM blobs WHERE digest > ?1 AND size IS NOT NULL ORDER BY digest LIMIT ?2",
    )?
    .query_map(params![after, number(limit)], |row| Ok((word(row, 0)?, count(row, 1)?)))?
    .collect()
}

pub(super) fn of_repository(
    c: &Connection,
    repo: &RepoName,
    after: &str,
    limit: usize,
) -> rusqlite::Result<Vec<Digest>> {
    c.prepare_cached(
        "SELECT b.digest FROM repo_blobs l JOIN blobs b ON b.id = l.blob
         WHERE l.repo = (SELECT id FROM repositories WHERE name = ?1) AND b.digest > ?2
         ORDER BY b.digest LIMIT ?3",
    )?
    .query_map(params![repo.as_str(), after, number(limit)], |row| {
        word(row, 0)
    })?
    .collect()
}
