//! A manifest on its way into the tables.

use std::time::SystemTime;

use oci::{Digest, Manifest, RepoName};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{count_manifests, forget_edges, kind_text};
use crate::index::sqlite::blobs;
use crate::index::sqlite::column::{millis, number};
use crate::index::{Edge, EdgeKind};

/// A manifest as the tables take it; everything that is asked of the manifest is asked before the writer is.
#[derive(Debug)]
pub(in crate::index::sqlite) struct Entry {
    pub(super) repo: RepoName,
    pub(super) digest: Digest,
    pub(super) media_type: String,
    size: u64,
    artifact_type: Option<String>,
    annotations: Option<String>,
    edges: Vec<Edge>,
}

impl Entry {
    pub(in crate::index::sqlite) fn of(repo: &RepoName, manifest: &Manifest) -> Self {
        Self {
            repo: repo.clone(),
            digest: manifest.digest(),
            media_type: manifest.media_type().as_str().to_owned(),
            size: manifest.bytes().len() as u64,
            artifact_type: manifest.artifact_type().map(str::to_owned),
            annotations: manifest
                .subject()
                .and_then(|_| listed_annotations(manifest)),
            edges: Edge::of(manifest),
        }
    }

    /// Records the manifest and returns its row. One that is there is left as it is, but for its media type.
    pub(in crate::index::sqlite) fn record(
        &self,
        c: &Connection,
        now: SystemTime,
    ) -> rusqlite::Result<i64> {
        let repo = blobs::repository(c, &self.repo)?;
        blobs::record(c, &self.digest, self.size, now)?;
        let known: Option<(i64, String)> = c
            .prepare_cached("SELECT id, media_type FROM manifests WHERE repo = ?1 AND digest = ?2")?
            .query_row(params![repo, self.digest.to_string()], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        match known {
            Some((id, media_type)) if media_type == self.media_type => Ok(id),
            // The same bytes may mean something else when they are read as another type.
            Some((id, _)) => {
                forget_edges(c, id)?;
                self.update(c, id)?;
                self.record_edges(c, repo, id)?;
                Ok(id)
            }
            None => {
                let id = self.insert(c, repo, now)?;
                self.record_edges(c, repo, id)?;
                count_manifests(c, repo, 1)?;
                Ok(id)
            }
        }
    }

    fn insert(&self, c: &Connection, repo: i64, now: SystemTime) -> rusqlite::Result<i64> {
        c.prepare_cached(
            "INSERT INTO manifests (repo, digest, media_type, size, artifact_type, subject, annotations, pushed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) RETURNING id",
        )?
        .query_row(
            params![
                repo,
                self.digest.to_string(),
                self.media_type,
                number(self.size),
                self.artifact_type,
                self.subject(c)?,
                self.annotations,
                millis(now),
            ],
            |row| row.get(0),
        )
    }

    fn update(&self, c: &Connection, id: i64) -> rusqlite::Result<()> {
        c.prepare_cached(
            "UPDATE manifests SET media_type = ?2, artifact_type = ?3, subject = ?4, annotations = ?5 WHERE id = ?1",
        )?
        .execute(params![id, self.media_type, self.artifact_type, self.subject(c)?, self.annotations])
        .map(drop)
    }

    fn subject(&self, c: &Connection) -> rusqlite::Result<Option<i64>> {
        let subject = self
            .edges
            .iter()
            .find(|edge| edge.kind == EdgeKind::Subject);
        subject
            .map(|edge| blobs::named(c, &edge.target))
            .transpose()
    }

    fn record_edges(&self, c: &Connection, repo: i64, id: i64) -> rusqlite::Result<()> {
        let mut insert = c.prepare_cached(
            "INSERT INTO manifest_edges (manifest, kind, target, repo) VALUES (?1, ?2, ?3, ?4)",
        )?;
        for edge in &self.edges {
            insert.execute(params![
                id,
                kind_text(edge.kind),
                blobs::named(c, &edge.target)?,
                repo
            ])?;
        }
        Ok(())
    }
}

/// What the referrers list repeats.
fn listed_annotations(manifest: &Manifest) -> Option<String> {
    if manifest.annotations().is_empty() {
        return None;
    }
    // A map of strings, which JSON can always say.
    serde_json::to_string(manifest.annotations()).ok()
}
