//! Counting everything, and SQLite's own check of its file.

use rusqlite::{Connection, Row, params};

use super::column::{count, number, only_count, word};
use crate::index::{Census, RepositoryCensus};

fn count_all(c: &Connection, sql: &str) -> rusqlite::Result<u64> {
    c.query_row(sql, [], only_count)
}

fn count_both(c: &Connection, sql: &str) -> rusqlite::Result<(u64, u64)> {
    c.query_row(sql, [], |row| Ok((count(row, 0)?, count(row, 1)?)))
}

pub(super) fn census(c: &Connection, top: usize) -> rusqlite::Result<Census> {
    let (blobs, stored_bytes) = count_both(
        c,
        "SELECT count(*), coalesce(sum(size), 0) FROM blobs WHERE size IS NOT NULL",
    )?;
    let (unheld_blobs, unheld_bytes) = count_both(
        c,
        "SELECT count(*), coalesce(sum(size), 0) FROM blobs b WHERE size IS NOT NULL
         AND NOT EXISTS (SELECT 1 FROM repo_blobs l WHERE l.blob = b.id)
         AND digest NOT IN (SELECT digest FROM manifests)",
    )?;
    let (uploads, upload_bytes) =
        count_both(c, "SELECT count(*), coalesce(sum(bytes), 0) FROM uploads")?;
    Ok(Census {
        repositories: count_all(c, "SELECT count(*) FROM repositories WHERE manifests > 0")?,
        manifests: count_all(c, "SELECT count(*) FROM manifests")?,
        tags: count_all(c, "SELECT count(*) FROM tags")?,
        blobs,
        stored_bytes,
        logical_bytes: count_all(
            c,
            "SELECT coalesce((SELECT sum(b.size) FROM repo_blobs l JOIN blobs b ON b.id = l.blob), 0)
                  + coalesce((SELECT sum(size) FROM manifests), 0)",
        )?,
        unheld_blobs,
        unheld_bytes,
        uploads,
        upload_bytes,
        journal: count_all(c, "SELECT count(*) FROM journal")?,
        largest: largest(c, top)?,
    })
}

fn largest(c: &Connection, top: usize) -> rusqlite::Result<Vec<RepositoryCensus>> {
    c.prepare(
        "SELECT r.name, r.manifests, (SELECT count(*) FROM tags t WHERE t.repo = r.id),
                coalesce(l.blobs, 0), coalesce(l.bytes, 0) + coalesce(m.bytes, 0) AS bytes
         FROM repositories r
         LEFT JOIN (SELECT repo, count(*) AS blobs, sum(b.size) AS bytes
                    FROM repo_blobs JOIN blobs b ON b.id = blob GROUP BY repo) l ON l.repo = r.id
         LEFT JOIN (SELECT repo, sum(size) AS bytes FROM manifests GROUP BY repo) m ON m.repo = r.id
         WHERE l.bytes IS NOT NULL OR m.bytes IS NOT NULL
         ORDER BY bytes DESC, r.name LIMIT ?1",
    )?
    .query_map(params![number(top)], repository)?
    .collect()
}

fn repository(row: &Row<'_>) -> rusqlite::Result<RepositoryCensus> {
    Ok(RepositoryCensus {
        name: word(row, 0)?,
        manifests: count(row, 1)?,
        tags: count(row, 2)?,
        blobs: count(row, 3)?,
        bytes: count(row, 4)?,
    })
}

/// Pages, order of entries, and foreign keys.
pub(super) fn damage(c: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut found: Vec<String> = c
        .prepare("PRAGMA integrity_check(100)")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    found.retain(|line| line != "ok");
    let orphans: Vec<String> = c
        .prepare("PRAGMA foreign_key_check")?
        .query_map([], |row| {
            let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
            Ok(format!(
                "a row of {table} names one of {parent} that is not there"
            ))
        })?
        .take(100)
        .collect::<Result<_, _>>()?;
    found.extend(orphans);
    Ok(found)
}
