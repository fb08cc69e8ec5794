//! Lists, in byte order, a page at a time: each starts where the last page ended, so its cost is that of its entries.

use std::collections::BTreeMap;

use oci::{Descriptor, Digest, RepoName, Tag};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, Rows, params};

use super::column::{count, number, word};
use super::manifests::media_type;
use crate::index::{MAX_REFERRERS_BYTES, Referrers};

/// What a descriptor weighs in a list besides its annotations, generously.
const DESCRIPTOR_BYTES: usize = 512;

pub(super) const TAGS: &str =
    "SELECT name FROM tags WHERE repo = ?1 AND name > ?2 ORDER BY name LIMIT ?3";
pub(super) const REPOSITORIES: &str =
    "SELECT name FROM repositories WHERE manifests > 0 AND name > ?1 ORDER BY name LIMIT ?2";

pub(super) fn tags(
    c: &Connection,
    repo: &RepoName,
    last: &str,
    limit: usize,
) -> rusqlite::Result<Option<Vec<Tag>>> {
    let repo: Option<i64> = c
        .prepare_cached("SELECT id FROM repositories WHERE name = ?1 AND manifests > 0")?
        .query_row([repo.as_str()], |row| row.get(0))
        .optional()?;
    let Some(repo) = repo else {
        return Ok(None);
    };
    c.prepare_cached(TAGS)?
        .query_map(params![repo, last, number(limit)], |row| word(row, 0))?
        .collect::<Result<_, _>>()
        .map(Some)
}

pub(super) fn tag_targets(
    c: &Connection,
    repo: &RepoName,
    after: &str,
    limit: usize,
) -> rusqlite::Result<Vec<(Tag, Digest)>> {
    c.prepare_cached(
        "SELECT t.name, m.digest FROM tags t JOIN manifests m ON m.id = t.manifest
         WHERE t.repo = (SELECT id FROM repositories WHERE name = ?1) AND t.name > ?2
         ORDER BY t.name LIMIT ?3",
    )?
    .query_map(params![repo.as_str(), after, number(limit)], |row| {
        Ok((word(row, 0)?, word(row, 1)?))
    })?
    .collect()
}

pub(super) fn repositories(
    c: &Connection,
    last: &str,
    limit: usize,
) -> rusqlite::Result<Vec<RepoName>> {
    c.prepare_cached(REPOSITORIES)?
        .query_map(params![last, number(limit)], |row| word(row, 0))?
        .collect()
}

pub(super) fn all_repositories(
    c: &Connection,
    after: &str,
    limit: usize,
) -> rusqlite::Result<Vec<RepoName>> {
    c.prepare_cached("SELECT name FROM repositories WHERE name > ?1 ORDER BY name LIMIT ?2")?
        .query_map(params![after, number(limit)], |row| word(row, 0))?
        .collect()
}

/// The same columns, range and order with and without a type, each by an index of its own.
pub(super) const REFERRERS: &str = "
    SELECT digest, media_type, size, artifact_type, annotations FROM manifests
    WHERE repo = (SELECT id FROM repositories WHERE name = ?1)
      AND subject = (SELECT id FROM blobs WHERE digest = ?2)
      AND digest > ?3
    ORDER BY digest LIMIT ?4";
pub(super) const REFERRERS_BY_TYPE: &str = "
    SELECT digest, media_type, size, artifact_type, annotations FROM manifests
    WHERE repo = (SELECT id FROM repositories WHERE name = ?1)
      AND subject = (SELECT id FROM blobs WHERE digest = ?2)
      AND digest > ?3 AND artifact_type = ?5
    ORDER BY digest LIMIT ?4";

pub(super) fn referrers(
    c: &Connection,
    repo: &RepoName,
    subject: &Digest,
    artifact_type: Option<&str>,
    after: &str,
    limit: usize,
) -> rusqlite::Result<Referrers> {
    let (repo, subject, rows) = (
        repo.as_str(),
        subject.to_string(),
        number(limit.saturating_add(1)),
    );
    match artifact_type {
        None => page(
            c.prepare_cached(REFERRERS)?
                .query(params![repo, subject, after, rows])?,
            limit,
        ),
        Some(artifact_type) => page(
            c.prepare_cached(REFERRERS_BY_TYPE)?.query(params![
                repo,
                subject,
                after,
                rows,
                artifact_type
            ])?,
            limit,
        ),
    }
}

/// As many rows as a page may have and weigh; what does not fit is not read.
fn page(mut rows: Rows<'_>, limit: usize) -> rusqlite::Result<Referrers> {
    let mut page = Referrers::default();
    let mut weight = 0;
    while let Some(row) = rows.next()? {
        let annotations = row.get_ref(4)?.as_str_or_null()?.map_or(0, str::len);
        weight += DESCRIPTOR_BYTES + annotations;
        let is_full = page.entries.len() == limit || weight > MAX_REFERRERS_BYTES;
        if is_full && !(page.entries.is_empty() && limit > 0) {
            page.more = true;
            break;
        }
        page.entries.push(descriptor(row)?);
    }
    Ok(page)
}

fn descriptor(row: &Row<'_>) -> rusqlite::Result<Descriptor> {
    Ok(Descriptor {
        artifact_type: row.get(3)?,
        annotations: annotations(row, 4)?,
        ..Descriptor::new(media_type(row, 1)?, word(row, 0)?, count(row, 2)?)
    })
}

fn annotations(row: &Row<'_>, column: usize) -> rusqlite::Result<BTreeMap<String, String>> {
    let Some(json) = row.get_ref(column)?.as_str_or_null()? else {
        return Ok(BTreeMap::new());
    };
    serde_json::from_str(json).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}
