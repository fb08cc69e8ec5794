//! The source comes: from git, or out of the registry.

use std::collections::BTreeMap;

use super::Pipeline;
use super::earlier::Earlier;
use crate::builds::brief::Brief;
use crate::builds::reason::failure;
use crate::builds::reproduce::is_check;
use crate::builds::spec::Source;
use crate::driver::Failure;
use crate::images::ImageName;
use crate::plan::{self, Commit};
use crate::records::{Cause, OwnReason, Run, State, StateKind};
use crate::s2i::Warning;
use crate::source::Snapshot;
use crate::source::git::Found;

/// How many of the build's runs are looked at for the commit.
const LOOKED_AT: usize = 20;

/// A source, as far as a plan looks into it.
pub(super) struct Fetched {
    pub(super) source: plan::Source,
    /// No file of the result is younger, in seconds since 1970.
    pub(super) epoch: u64,
    kept: ImageName,
    /// `None`: in the registry, and not read yet.
    snapshot: Option<Snapshot>,
}

impl Fetched {
    /// Whether an earlier run had this very artifact.
    pub(super) fn is_of(&self, earlier: &Earlier) -> bool {
        earlier.source.as_ref() == Some(&self.kept.to_string())
    }
}

/// A source that was kept.
pub(super) struct Kept {
    pub(super) source: plan::Source,
    pub(super) warnings: Vec<Warning>,
    pub(super) name: ImageName,
    /// `None`: its config says all that a plan needs.
    pub(super) snapshot: Option<Snapshot>,
}

impl Pipeline<'_> {
    pub(super) async fn fetch(&self) -> Result<Fetched, Failure> {
        let kept = match (self.pinned(), &self.wanted.source) {
            (Some(source), _) => {
                let name = ImageName::parse(source, &[]).map_err(|error| {
                    failure(OwnReason::SourceNotFound, format!("{source}: {error}"))
                })?;
                self.kept(&name).await?
            }
            (None, Source::Image(name)) => self.kept(name).await?,
            (None, git @ Source::Git { .. }) => self.git(git.clone(), &self.known().await?).await?,
        };
        self.fetched(kept).await
    }

    /// The source that was planned with. `None`: it is another than was said of it, and has to be planned with anew.
    pub(super) async fn snapshot(
        &self,
        fetched: &mut Fetched,
    ) -> Result<Option<Snapshot>, Failure> {
        if let Some(snapshot) = fetched.snapshot.take() {
            return Ok(Some(snapshot));
        }
        let read = match (self.read_kept(&fetched.kept).await, &self.wanted.source) {
            // An earlier run kept it, and the repository has it still.
            (Err(why), git @ Source::Git { .. }) if self.pinned().is_none() => {
                self.note(format!("{}: it is fetched again", why.message))
                    .await;
                self.git(git.clone(), &BTreeMap::new()).await?
            }
            (read, _) => read?,
        };
        if read.source == fetched.source && read.name == fetched.kept {
            return Ok(read.snapshot);
        }
        self.note("the source is another than its artifact says")
            .await;
        *fetched = self.fetched(read).await?;
        Ok(None)
    }

    /// The source of the run that this one is to reproduce.
    fn pinned(&self) -> Option<&String> {
        let source = self.run.resolved.source.as_ref();
        source.filter(|_| is_check(self.run))
    }

    /// Says what came, and records it.
    async fn fetched(&self, kept: Kept) -> Result<Fetched, Failure> {
        for warning in &kept.warnings {
            self.note(warning.to_string()).await;
        }
        let commit = kept.source.commit.as_ref();
        let epoch = self.run.resolved.epoch.filter(|_| is_check(self.run));
        let epoch = epoch.unwrap_or_else(|| {
            let date = commit.and_then(|commit| authored(&commit.date));
            date.unwrap_or(Snapshot::MTIME)
        });
        if let (None, Some(pattern)) = (&commit, self.wanted.output.wants_commit())
            && !is_check(self.run)
        {
            let text = format!("the source has no commit for the tag {pattern}");
            // What is sent once to a build of a repository is no mistake of the build's.
            if self.run.build.is_none() {
                let text = format!("{text}: leave the tag out, or name one");
                return Err(failure(OwnReason::InvalidSpec, text));
            }
            self.note(format!("{text}: it is left out")).await;
        }
        let change = |run: &mut Run| {
            run.resolved.commit = commit.map(|commit| commit.id.clone());
            run.resolved.source = Some(kept.name.to_string());
            run.resolved.epoch = Some(epoch);
        };
        self.progress.change(change).await?;
        Ok(Fetched {
            source: kept.source,
            epoch,
            kept: kept.name,
            snapshot: kept.snapshot,
        })
    }

    /// What the repository has, kept: by this run, or by an earlier one of the same commit.
    async fn git(
        &self,
        source: Source,
        known: &BTreeMap<String, ImageName>,
    ) -> Result<Kept, Failure> {
        let Some(source) = self
            .builds
            .git_source(self.namespace(), source, self.run.spec.ignore)
            .await?
        else {
            return Err(failure(
                OwnReason::InvalidSpec,
                "the source is no git repository",
            ));
        };
        self.note(format!("fetching {}", source.url)).await;
        let git = self.builds.parts().git.for_run(self.writing.ours());
        let is_known = |commit: &str| known.contains_key(commit);
        let found = git.fetch_unless(self.namespace(), &source, &is_known);
        let (mut new, mut earlier) = (None, None);
        match found.await? {
            Found::New(snapshot) => new = Some(*snapshot),
            Found::Known { commit, reference } => {
                if let Some(name) = known.get(&commit) {
                    // Somebody may have removed it, or this run may not see it. The branch or tag is a label of the result.
                    let kept = self.kept(name).await.ok();
                    let is_same = |commit: &Commit| commit.reference == reference;
                    earlier = kept.filter(|kept| kept.source.commit.as_ref().is_some_and(is_same));
                }
            }
        }
        let kept = if let Some(earlier) = earlier {
            earlier
        } else {
            let snapshot = match new {
                Some(snapshot) => snapshot,
                None => git.fetch(self.namespace(), &source).await?,
            };
            let name = self.keep(&snapshot).await?;
            Kept {
                source: snapshot.source(),
                warnings: snapshot.warnings().to_vec(),
                name,
                snapshot: Some(snapshot),
            }
        };
        if let Some(commit) = &kept.source.commit {
            let text = format!("commit {} {}", commit.id, commit.message);
            self.note(text).await;
            // What a webhook's caller says of a branch is asked of the repository: a commit that only somebody's fork has can be
            // fetched from many servers too, and is not what the branch has.
            if let Cause::Webhook {
                commit: Some(pushed),
                ..
            } = &self.run.cause
                && *pushed != commit.id
            {
                let text = format!(
                    "commit {pushed}, which was pushed, is not what the revision stands for now: building {}",
                    commit.id
                );
                self.note(text).await;
            }
        }
        self.note(format!("kept as {}", kept.name)).await;
        Ok(kept)
    }

    /// Where earlier runs of the build kept which commits of the same repository, taken from it in the same way.
    async fn known(&self) -> Result<BTreeMap<String, ImageName>, Failure> {
        let (Some(build), now) = (&self.run.build, &self.run.spec) else {
            return Ok(BTreeMap::new());
        };
        let may_be = |run: &Brief| run.state == StateKind::Succeeded;
        let is_alike = |run: &Run| {
            run.state == State::Succeeded
                && run.spec.ignore == now.ignore
                && run.spec.source.is_alike(&now.source)
        };
        let runs = self
            .builds
            .newest(self.namespace(), Some(build), LOOKED_AT, may_be, is_alike)
            .await?;
        let kept = runs.into_iter().filter_map(|run| {
            let (commit, source) = (run.value.resolved.commit?, run.value.resolved.source?);
            Some((commit, ImageName::parse(&source, &[]).ok()?))
        });
        Ok(kept.collect())
    }
}

/// When a commit was authored, in seconds since 1970, of git's `Thu Jan 1 00:00:00 1970 +0000`.
fn authored(date: &str) -> Option<u64> {
    let at = jiff::Timestamp::strptime("%a %b %d %H:%M:%S %Y %z", date).ok()?;
    u64::try_from(at.as_second()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_git_are_read() {
        assert_eq!(authored("Thu Jan 1 00:00:00 1970 +0000"), Some(0));
        assert_eq!(
            authored("Sat Nov 21 17:00:00 2026 +0100"),
            Some(1_795_276_800)
        );
        assert_eq!(authored("Wed Dec 31 23:59:59 1969 +0000"), None);
        assert_eq!(authored("yesterday"), None);
    }
}
