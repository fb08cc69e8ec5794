//! Going over everything once, from both sides.

use std::collections::BTreeMap;
use std::pin::Pin;

use futures_util::stream::{self, Peekable};
use futures_util::{StreamExt as _, TryStreamExt as _};
use oci::{Digest, RepoName};

use super::check::{Check, Subject};
use super::{Checked, Finding, Kind, Options, Report, Severity};
use crate::index::{Link, LinkState};
use crate::layout::{self, Place};
use crate::{Meta, StorageError, StoreError};

/// Rows or keys handled at a time.
const PAGE: usize = 1_000;
/// Things looked at at once.
const PARALLEL: usize = 16;
/// Things that looked wrong and wait to be looked at again.
const WAITING: usize = 1_000;

pub(super) struct Pass<'a> {
    check: Check,
    options: Options,
    progress: &'a (dyn Fn(Checked) + Sync),
    report: Report,
    again: Vec<Subject>,
    /// Something among [`Self::again`] is an error.
    is_wrong: bool,
}

type Objects<'a> = Peekable<stream::BoxStream<'a, Result<Meta, StoreError>>>;

impl<'a> Pass<'a> {
    pub(super) fn new(
        check: Check,
        options: Options,
        progress: &'a (dyn Fn(Checked) + Sync),
    ) -> Self {
        Self {
            check,
            options,
            progress,
            report: Report::default(),
            again: Vec::new(),
            is_wrong: false,
        }
    }

    /// The database's own check.
    pub(super) async fn database(&mut self) -> Result<(), StorageError> {
        for what in self.check.index.damage().await? {
            let finding = Finding::new(Kind::IndexDamaged, "index", what);
            self.report.findings.add(finding);
        }
        Ok(())
    }

    /// Blobs of both sides, side by side: both come in the order of digests.
    pub(super) async fn blobs(&mut self) -> Result<(), StorageError> {
        let (store, index) = (self.check.store.clone(), self.check.index.clone());
        let mut objects = store.list(&layout::blobs(), None).peekable();
        let mut after: Option<Digest> = None;
        loop {
            let rows = index.all_blobs(after.as_ref(), PAGE).await?;
            let end = rows.last().map(|(digest, _)| *digest);
            self.report.checked.blobs += rows.len() as u64;
            self.blob_page(&mut objects, rows.into_iter().collect(), end)
                .await?;
            let Some(end) = end else {
                return Ok(());
            };
            after = Some(end);
        }
    }

    /// Rows up to `end`, and the objects up to there; all that are left where there is no end.
    async fn blob_page(
        &mut self,
        objects: &mut Objects<'_>,
        mut rows: BTreeMap<Digest, u64>,
        end: Option<Digest>,
    ) -> Result<(), StorageError> {
        let mut suspects = Vec::new();
        while let Some(meta) = next_up_to(objects, end).await {
            let meta = meta?;
            self.report.checked.objects += 1;
            match layout::parse(meta.key.as_str()) {
                Some(Place::Blob(digest)) => {
                    let is_as_said = rows.remove(&digest) == Some(meta.size);
                    if self.options.deep || !is_as_said {
                        suspects.push(Subject::Blob(digest));
                    }
                }
                _ => suspects.push(Subject::Unknown(meta.key)),
            }
            if suspects.len() >= PAGE {
                self.look_at(std::mem::take(&mut suspects)).await?;
            }
        }
        suspects.extend(rows.into_keys().map(Subject::Blob));
        self.look_at(suspects).await
    }

    /// Every row that stands for a link.
    pub(super) async fn rows(&mut self) -> Result<(), StorageError> {
        let index = self.check.index.clone();
        let mut after: Option<RepoName> = None;
        loop {
            let repositories = index.all_repositories(after.as_ref(), PAGE).await?;
            let Some(last) = repositories.last() else {
                return Ok(());
            };
            after = Some(last.clone());
            for repo in &repositories {
                self.layers(repo).await?;
                self.revisions(repo).await?;
                self.tags(repo).await?;
            }
        }
    }

    async fn layers(&mut self, repo: &RepoName) -> Result<(), StorageError> {
        let mut after: Option<Digest> = None;
        loop {
            let page = self.check.index.layers(repo, after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(*last);
            self.report.checked.layers += page.len() as u64;
            let link = |digest| Subject::Link(Link::Layer(repo.clone(), digest));
            self.look_at(page.into_iter().map(link).collect()).await?;
        }
    }

    async fn revisions(&mut self, repo: &RepoName) -> Result<(), StorageError> {
        let mut after: Option<Digest> = None;
        loop {
            let index = &self.check.index;
            let page = index.revisions(repo, after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(last.facts.digest);
            self.report.checked.manifests += page.len() as u64;
            let digests = page.into_iter().map(|record| record.facts.digest);
            let link = |digest| Subject::Link(Link::Revision(repo.clone(), digest));
            self.look_at(digests.map(link).collect()).await?;
        }
    }

    async fn tags(&mut self, repo: &RepoName) -> Result<(), StorageError> {
        let mut after = None;
        loop {
            let index = &self.check.index;
            let page = index.tag_targets(repo, after.as_ref(), PAGE).await?;
            let Some((last, _)) = page.last() else {
                return Ok(());
            };
            after = Some(last.clone());
            self.report.checked.tags += page.len() as u64;
            let link = |(tag, _)| Subject::Link(Link::Tag(repo.clone(), tag));
            self.look_at(page.into_iter().map(link).collect()).await?;
        }
    }

    /// Every object below the repositories.
    pub(super) async fn links(&mut self) -> Result<(), StorageError> {
        let store = self.check.store.clone();
        let mut pages = store
            .list(&layout::repositories(), None)
            .try_chunks(PAGE)
            .map_err(|error| error.1);
        while let Some(page) = pages.try_next().await? {
            self.report.checked.objects += page.len() as u64;
            let subjects = page.into_iter().map(|meta| subject(meta.key));
            let strays = stream::iter(subjects)
                .map(|subject| is_unknown_to(&self.check, subject))
                .buffered(PARALLEL)
                .try_filter_map(async |unknown| Ok(unknown))
                .try_collect()
                .await?;
            self.look_at(strays).await?;
        }
        Ok(())
    }

    /// Ends by looking again at what looked wrong.
    pub(super) async fn finish(mut self) -> Result<Report, StorageError> {
        self.look_again().await?;
        Ok(self.report)
    }

    async fn look_at(&mut self, subjects: Vec<Subject>) -> Result<(), StorageError> {
        let check = &self.check;
        let mut looks = stream::iter(subjects)
            .map(async |subject| Ok::<_, StorageError>((check.look(&subject).await?, subject)))
            .buffer_unordered(PARALLEL);
        let mut wrong = Vec::new();
        while let Some((looked, subject)) = looks.try_next().await? {
            self.report.checked.hashed_bytes += looked.hashed_bytes;
            if looked.hashed_bytes > 0 {
                (self.progress)(self.report.checked);
            }
            let is_wrong = |finding: &Finding| finding.severity == Severity::Error;
            self.is_wrong |= looked.findings.iter().any(is_wrong);
            if self.options.again_after.is_none() {
                self.report.findings.extend(looked.findings);
            } else if !looked.findings.is_empty() {
                wrong.push(subject);
            }
        }
        drop(looks);
        (self.progress)(self.report.checked);
        self.again.extend(wrong);
        if self.again.len() >= WAITING {
            self.look_again().await?;
        }
        Ok(())
    }

    async fn look_again(&mut self) -> Result<(), StorageError> {
        let Some(pause) = self.options.again_after.filter(|_| !self.again.is_empty()) else {
            return Ok(());
        };
        // What is only noted is not worth a wait.
        if std::mem::take(&mut self.is_wrong) {
            tokio::time::sleep(pause).await;
        }
        for subject in std::mem::take(&mut self.again) {
            let looked = self.check.look(&subject).await?;
            self.report.findings.extend(looked.findings);
        }
        Ok(())
    }
}

/// The next object that does not come after the blob `end`.
async fn next_up_to(
    objects: &mut Objects<'_>,
    end: Option<Digest>,
) -> Option<Result<Meta, StoreError>> {
    let end = end.map(|end| layout::blob(&end));
    let is_before = |meta: &Result<Meta, StoreError>| match (meta, &end) {
        (Ok(meta), Some(end)) => meta.key <= *end,
        _ => true,
    };
    Pin::new(objects).next_if(is_before).await
}

fn subject(key: crate::Key) -> Subject {
    match layout::parse(key.as_str()) {
        Some(Place::Layer(repo, digest)) => Subject::Link(Link::Layer(repo, digest)),
        Some(Place::Revision(repo, digest)) => Subject::Link(Link::Revision(repo, digest)),
        Some(Place::TagCurrent(repo, tag)) => Subject::Link(Link::Tag(repo, tag)),
        Some(Place::MediaType(repo, digest)) => Subject::MediaType(repo, digest),
        Some(Place::TagIndex(repo, tag, digest)) => Subject::TagEntry(repo, tag, digest),
        Some(Place::Upload(_, id)) => Subject::Upload(id, key),
        Some(Place::Blob(_)) | None => Subject::Unknown(key),
    }
}

/// Passes on what the pass over the rows has not looked at already.
async fn is_unknown_to(check: &Check, subject: Subject) -> Result<Option<Subject>, StorageError> {
    Ok(match &subject {
        Subject::Link(link) => match check.index.link(link).await? {
            (LinkState::Absent, _) => Some(subject),
            _ => None,
        },
        _ => Some(subject),
    })
}
