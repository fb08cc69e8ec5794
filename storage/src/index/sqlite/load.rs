//! Facts from a store, for an index that is built anew.

use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::column::millis;
use super::manifests::{self, Entry};
use super::{Fact, blobs, journal, tokens};

/// When what is found was pushed is not in the store.
const LONG_AGO: SystemTime = SystemTime::UNIX_EPOCH;

/// Nothing was ever recorded: repositories are never deleted, only emptied.
pub(super) fn is_new(c: &Connection) -> rusqlite::Result<bool> {
    c.query_row(
        "SELECT NOT EXISTS (SELECT 1 FROM repositories) AND NOT EXISTS (SELECT 1 FROM meta WHERE key = 'rebuilt')",
        [],
        |row| row.get(0),
    )
}

/// Records the facts; returns the places of those whose ground is missing.
pub(super) fn load(c: &Connection, facts: &[Fact]) -> rusqlite::Result<Vec<usize>> {
    let mut groundless = Vec::new();
    for (place, fact) in facts.iter().enumerate() {
        if !record(c, fact)? {
            groundless.push(place);
        }
    }
    Ok(groundless)
}

fn record(c: &Connection, fact: &Fact) -> rusqlite::Result<bool> {
    match fact {
        Fact::Blob { digest, size } => blobs::record(c, digest, *size, LONG_AGO).map(|_| true),
        Fact::Layer { repo, digest } => {
            let blob: Option<i64> = c
                .prepare_cached("SELECT id FROM blobs WHERE digest = ?1 AND size IS NOT NULL")?
                .query_row([digest.to_string()], |row| row.get(0))
                .optional()?;
            let Some(blob) = blob else {
                return Ok(false);
            };
            blobs::hold(c, blobs::repository(c, repo)?, blob, LONG_AGO).map(|()| true)
        }
        Fact::Manifest { repo, manifest } => {
            Entry::of(repo, manifest).record(c, LONG_AGO).map(|_| true)
        }
        Fact::Tag { repo, tag, digest } => match manifests::find(c, repo, digest)? {
            Some(manifest) => manifests::point(c, repo, tag, manifest, LONG_AGO).map(|()| true),
            None => Ok(false),
        },
        Fact::Stale(link) => journal::add(c, link).map(|()| true),
        Fact::Token(token) => tokens::insert(c, token).map(|()| true),
    }
}

pub(super) fn finish(c: &Connection, now: SystemTime) -> rusqlite::Result<()> {
    c.execute(
        "INSERT OR REPLACE INTO meta (key, value) VALUES ('rebuilt', ?1)",
        params![millis(now).to_string()],
    )
    .map(drop)
}
