//! The journal of link objects, and what each link must say.

use rusqlite::{Connection, Row, params};

use super::column::{number, word};
use super::{JournalRow, Link, LinkState, blobs, manifests};

/// Notes that a link may not say what the tables say.
pub(super) fn add(c: &Connection, link: &Link) -> rusqlite::Result<()> {
    let (kind, repo, name) = columns(link);
    c.prepare_cached("INSERT INTO journal (kind, repo, name) VALUES (?1, ?2, ?3)")?
        .execute(params![kind, repo, name])
        .map(drop)
}

pub(super) fn list(c: &Connection, after: i64, limit: usize) -> rusqlite::Result<Vec<JournalRow>> {
    c.prepare_cached("SELECT id, kind, repo, name FROM journal WHERE id > ?1 ORDER BY id LIMIT ?2")?
        .query_map([after, number(limit)], |row| {
            Ok(JournalRow {
                id: row.get(0)?,
                link: link(row)?,
            })
        })?
        .collect()
}

pub(super) fn clear(c: &Connection, rows: &[i64]) -> rusqlite::Result<()> {
    let mut delete = c.prepare_cached("DELETE FROM journal WHERE id = ?1")?;
    for row in rows {
        delete.execute([row])?;
    }
    Ok(())
}

pub(super) const ROWS_OF_LINK: &str =
    "SELECT id FROM journal WHERE repo = ?1 AND kind = ?2 AND name = ?3";

/// What the tables say of a link, and the rows that writing this settles.
pub(super) fn state(c: &Connection, link: &Link) -> rusqlite::Result<(LinkState, Vec<i64>)> {
    let (kind, repo, name) = columns(link);
    let rows = c
        .prepare_cached(ROWS_OF_LINK)?
        .query_map(params![repo, kind, name], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let state = match link {
        Link::Layer(repo, digest) => blobs::size(c, repo, digest)?.map(|_| LinkState::Present),
        Link::Revision(repo, digest) => manifests::by_digest(c, repo, digest)?
            .map(|facts| LinkState::Revision(facts.media_type)),
        Link::Tag(repo, tag) => {
            manifests::by_tag(c, repo, tag)?.map(|facts| LinkState::Tag(facts.digest))
        }
    };
    Ok((state.unwrap_or(LinkState::Absent), rows))
}

fn columns(link: &Link) -> (&'static str, &str, String) {
    match link {
        Link::Layer(repo, digest) => ("layer", repo.as_str(), digest.to_string()),
        Link::Revision(repo, digest) => ("revision", repo.as_str(), digest.to_string()),
        Link::Tag(repo, tag) => ("tag", repo.as_str(), tag.to_string()),
    }
}

fn link(row: &Row<'_>) -> rusqlite::Result<Link> {
    let repo = word(row, 2)?;
    // The table's CHECK lets no fourth kind in.
    Ok(match row.get_ref(1)?.as_str()? {
        "layer" => Link::Layer(repo, word(row, 3)?),
        "revision" => Link::Revision(repo, word(row, 3)?),
        _ => Link::Tag(repo, word(row, 3)?),
    })
}
