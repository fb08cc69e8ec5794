//! Manifests and tags.

mod entry;

use std::time::SystemTime;

use oci::{Digest, RepoName, Tag};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::column::{count, millis, number, word};
use super::{Link, ManifestFacts, ManifestRecord, NewManifest, PutOutcome, audit, blobs, journal};
use crate::audit::{Cause, Verb};
use crate::index::{Edge, EdgeKind};
use crate::{MoveTags, Sparse};

pub(super) use entry::Entry;

/// A push: a manifest, what must be there first, and the tags to point at it.
#[derive(Debug)]
pub(super) struct Push {
    entry: Entry,
    required: Vec<Digest>,
    tags: Vec<Tag>,
    moves: MoveTags,
    cause: Cause,
}

impl Push {
    pub(super) fn of(new: &NewManifest<'_>) -> Self {
        Self {
            entry: Entry::of(new.repo, new.manifest),
            required: match new.sparse {
                Sparse::Allowed => Vec::new(),
                Sparse::Refused => {
                    let blobs = new.manifest.required_blobs();
                    blobs.map(|blob| blob.digest).collect()
                }
            },
            tags: new.tags.to_vec(),
            moves: new.moves,
            cause: new.cause.clone(),
        }
    }

    /// Checks everything before it writes anything, so a refused push leaves nothing.
    pub(super) fn apply(&self, c: &Connection) -> rusqlite::Result<PutOutcome> {
        let repo = &self.entry.repo;
        let missing = blobs::missing(c, repo, &self.required)?;
        if !missing.is_empty() {
            return Ok(PutOutcome::MissingBlobs(missing));
        }
        if self.moves == MoveTags::Refused {
            for tag in &self.tags {
                let there = by_tag(c, repo, tag)?;
                if there.is_some_and(|facts| facts.digest != self.entry.digest) {
                    return Ok(PutOutcome::TagExists(tag.clone()));
                }
            }
            // Whoever pulls a tag of these bytes would get them as something else.
            let there = by_digest(c, repo, &self.entry.digest)?;
            if let Some(facts) =
                there.filter(|facts| facts.media_type.as_str() != self.entry.media_type)
            {
                return Ok(PutOutcome::OtherType(facts.media_type));
            }
        }
        let now = self.cause.at();
        let id = self.entry.record(c, now)?;
        journal::add(c, &Link::Revision(repo.clone(), self.entry.digest))?;
        if self.tags.is_empty() {
            self.audit(c, Verb::Push, None, None)?;
        }
        for tag in &self.tags {
            self.audit_tag(c, tag)?;
            point(c, repo, tag, id, now)?;
            journal::add(c, &Link::Tag(repo.clone(), tag.clone()))?;
        }
        Ok(PutOutcome::Done)
    }

    /// The record of a tag that is about to be set.
    fn audit_tag(&self, c: &Connection, tag: &Tag) -> rusqlite::Result<()> {
        if self.cause.origin().is_none() {
            return Ok(());
        }
        let there = by_tag(c, &self.entry.repo, tag)?.map(|facts| facts.digest);
        match there.filter(|there| *there != self.entry.digest) {
            None => self.audit(c, Verb::Push, Some(tag), None),
            moved => self.audit(c, Verb::Retag, Some(tag), moved),
        }
    }

    fn audit(
        &self,
        c: &Connection,
        verb: Verb,
        tag: Option<&Tag>,
        previous: Option<Digest>,
    ) -> rusqlite::Result<()> {
        let change = audit::Change {
            reference: tag.map(Tag::as_str),
            digest: Some(self.entry.digest),
            previous,
            ..audit::Change::of(verb, &self.entry.repo)
        };
        change.record(c, &self.cause)
    }
}

/// Points a tag at a manifest of its repository.
pub(super) fn point(
    c: &Connection,
    repo: &RepoName,
    tag: &Tag,
    manifest: i64,
    now: SystemTime,
) -> rusqlite::Result<()> {
    c.prepare_cached(
        "INSERT INTO tags (repo, name, manifest, moved)
         VALUES ((SELECT id FROM repositories WHERE name = ?1), ?2, ?3, ?4)
         ON CONFLICT (repo, name) DO UPDATE SET manifest = excluded.manifest, moved = excluded.moved
         WHERE manifest <> excluded.manifest",
    )?
    .execute(params![repo.as_str(), tag.as_str(), manifest, millis(now)])
    .map(drop)
}

pub(super) const BY_TAG: &str =
    "SELECT m.digest, m.media_type, m.size FROM repositories r, tags t, manifests m
         WHERE r.name = ?1 AND t.repo = r.id AND t.name = ?2 AND m.id = t.manifest";

pub(super) fn by_tag(
    c: &Connection,
    repo: &RepoName,
    tag: &Tag,
) -> rusqlite::Result<Option<ManifestFacts>> {
    c.prepare_cached(BY_TAG)?
        .query_row(params![repo.as_str(), tag.as_str()], facts)
        .optional()
}

pub(super) const BY_DIGEST: &str =
    "SELECT m.digest, m.media_type, m.size FROM repositories r, manifests m
         WHERE r.name = ?1 AND m.repo = r.id AND m.digest = ?2";

pub(super) fn by_digest(
    c: &Connection,
    repo: &RepoName,
    digest: &Digest,
) -> rusqlite::Result<Option<ManifestFacts>> {
    c.prepare_cached(BY_DIGEST)?
        .query_row(params![repo.as_str(), digest.to_string()], facts)
        .optional()
}

fn facts(row: &Row<'_>) -> rusqlite::Result<ManifestFacts> {
    Ok(ManifestFacts {
        digest: word(row, 0)?,
        media_type: media_type(row, 1)?,
        size: count(row, 2)?,
    })
}

pub(super) fn media_type(row: &Row<'_>, column: usize) -> rusqlite::Result<oci::MediaType> {
    word(row, column)
}

/// A manifest's row.
pub(super) fn find(
    c: &Connection,
    repo: &RepoName,
    digest: &Digest,
) -> rusqlite::Result<Option<i64>> {
    c.prepare_cached(
        "SELECT m.id FROM repositories r, manifests m WHERE r.name = ?1 AND m.repo = r.id AND m.digest = ?2",
    )?
    .query_row(params![repo.as_str(), digest.to_string()], |row| row.get(0))
    .optional()
}

pub(super) fn held(
    c: &Connection,
    repo: &RepoName,
    digests: &[Digest],
) -> rusqlite::Result<Vec<Digest>> {
    let mut held = Vec::new();
    for digest in digests {
        if find(c, repo, digest)?.is_some() {
            held.push(*digest);
        }
    }
    Ok(held)
}

pub(super) fn delete_tag(
    c: &Connection,
    repo: &RepoName,
    tag: &Tag,
    cause: &Cause,
) -> rusqlite::Result<bool> {
    let there = match cause.origin() {
        Some(_) => by_tag(c, repo, tag)?,
        None => None,
    };
    let deleted = c
        .prepare_cached(
            "DELETE FROM tags WHERE repo = (SELECT id FROM repositories WHERE name = ?1) AND name = ?2",
        )?
        .execute(params![repo.as_str(), tag.as_str()])?;
    if deleted > 0 {
        journal::add(c, &Link::Tag(repo.clone(), tag.clone()))?;
        let change = audit::Change {
            reference: Some(tag.as_str()),
            digest: there.map(|facts| facts.digest),
            ..audit::Change::of(Verb::Delete, repo)
        };
        change.record(c, cause)?;
    }
    Ok(deleted > 0)
}

/// Tags that the record of a deleted manifest names; it tells how many there were more.
const NAMED: usize = 10;

/// What else goes with a manifest.
fn freed(tags: &[Tag]) -> Option<String> {
    let named: Vec<&str> = tags.iter().take(NAMED).map(Tag::as_str).collect();
    match (named.as_slice(), tags.len() - named.len()) {
        ([], _) => None,
        (named, 0) => Some(format!("with its tags {}", named.join(", "))),
        (named, more) => Some(format!(
            "with its tags {} and {more} more",
            named.join(", ")
        )),
    }
}

/// Forgets a manifest and its tags.
pub(super) fn delete(
    c: &Connection,
    repo: &RepoName,
    digest: &Digest,
    cause: &Cause,
) -> rusqlite::Result<Option<Vec<Tag>>> {
    let Some(id) = find(c, repo, digest)? else {
        return Ok(None);
    };
    let tags: Vec<Tag> = c
        .prepare_cached("DELETE FROM tags WHERE manifest = ?1 RETURNING name")?
        .query_map([id], |row| word(row, 0))?
        .collect::<Result<_, _>>()?;
    for tag in &tags {
        journal::add(c, &Link::Tag(repo.clone(), tag.clone()))?;
    }
    forget_edges(c, id)?;
    let repo_id: i64 = c
        .prepare_cached("DELETE FROM manifests WHERE id = ?1 RETURNING repo")?
        .query_row([id], |row| row.get(0))?;
    count_manifests(c, repo_id, -1)?;
    journal::add(c, &Link::Revision(repo.clone(), *digest))?;
    audit::Change::of(Verb::Delete, repo)
        .with(digest, freed(&tags))
        .record(c, cause)?;
    Ok(Some(tags))
}

fn forget_edges(c: &Connection, manifest: i64) -> rusqlite::Result<()> {
    c.prepare_cached("DELETE FROM manifest_edges WHERE manifest = ?1")?
        .execute([manifest])
        .map(drop)
}

fn count_manifests(c: &Connection, repo: i64, change: i64) -> rusqlite::Result<()> {
    c.prepare_cached("UPDATE repositories SET manifests = manifests + ?2 WHERE id = ?1")?
        .execute([repo, change])
        .map(drop)
}

fn kind_text(kind: EdgeKind) -> &'static str {
    match kind {
        EdgeKind::Config => "config",
        EdgeKind::Layer => "layer",
        EdgeKind::Child => "child",
        EdgeKind::Subject => "subject",
    }
}

pub(super) fn records(
    c: &Connection,
    repo: &RepoName,
    after: &str,
    limit: usize,
) -> rusqlite::Result<Vec<ManifestRecord>> {
    c.prepare_cached(
        "SELECT m.digest, m.media_type, m.size, m.artifact_type, m.id FROM manifests m
         WHERE m.repo = (SELECT id FROM repositories WHERE name = ?1) AND m.digest > ?2
         ORDER BY m.digest LIMIT ?3",
    )?
    .query_map(params![repo.as_str(), after, number(limit)], |row| {
        full(c, row)
    })?
    .collect()
}

pub(super) fn record(
    c: &Connection,
    repo: &RepoName,
    digest: &Digest,
) -> rusqlite::Result<Option<ManifestRecord>> {
    c.prepare_cached(
        "SELECT m.digest, m.media_type, m.size, m.artifact_type, m.id FROM repositories r, manifests m
         WHERE r.name = ?1 AND m.repo = r.id AND m.digest = ?2",
    )?
    .query_row(params![repo.as_str(), digest.to_string()], |row| full(c, row))
    .optional()
}

fn full(c: &Connection, row: &Row<'_>) -> rusqlite::Result<ManifestRecord> {
    let mut edges: Vec<Edge> = c
        .prepare_cached(
            "SELECT e.kind, b.digest FROM manifest_edges e JOIN blobs b ON b.id = e.target WHERE e.manifest = ?1",
        )?
        .query_map([row.get::<_, i64>(4)?], |row| {
            // The table's CHECK lets no fifth kind in.
            let kind = match row.get_ref(0)?.as_str()? {
                "config" => EdgeKind::Config,
                "layer" => EdgeKind::Layer,
                "child" => EdgeKind::Child,
                _ => EdgeKind::Subject,
            };
            Ok(Edge { kind, target: word(row, 1)? })
        })?
        .collect::<Result<_, _>>()?;
    edges.sort();
    Ok(ManifestRecord {
        facts: facts(row)?,
        artifact_type: row.get(3)?,
        edges,
    })
}
