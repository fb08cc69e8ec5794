//! One fetch, from the first question to the snapshot.

use std::borrow::Cow;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::blocking::blocking;
use super::context::ContextDir;
use super::credential::Credential;
use super::fetcher::GitSource;
use super::gather::{Gathered, Listing, Stored};
use super::growth::counted;
use super::lfs;
use super::mirror::{Mirror, Mirrors};
use super::objects::Objects;
use super::process::timed_out;
use super::references::{References, short};
use super::remote::Remote;
use super::resolved::Resolved;
use super::revision::{ObjectId, Revision};
use super::url::GitUrl;
use crate::s2i::Warning;
use crate::source::snapshot;
use crate::source::{Fault, Snapshot, SourceLimits, SourceNetwork};

/// What one fetch is asked for, and by when.
pub(super) struct Job<'a> {
    pub(super) mirrors: &'a Mirrors,
    pub(super) network: Cow<'a, SourceNetwork>,
    pub(super) limits: SourceLimits,
    pub(super) namespace: &'a str,
    pub(super) source: &'a GitSource,
    pub(super) until: Instant,
    /// Commits that need not come.
    pub(super) known: &'a (dyn Fn(&str) -> bool + Sync),
    /// Ends what reads mirrors once nobody waits for the fetch.
    pub(super) stop: CancellationToken,
    /// Whose mirrors it took.
    pub(super) taken: Mutex<Vec<GitUrl>>,
}

/// What became of a fetch.
#[derive(Debug)]
pub enum Found {
    /// The source.
    New(Box<Snapshot>),
    /// The server says that it is a commit that is known.
    Known {
        /// Its id.
        commit: String,
        /// The branch or tag that stands for it, as [`reference`](crate::plan::Commit::reference) has it.
        reference: String,
    },
}

/// A commit, and where it is.
pub(super) enum Brought {
    Here(Box<Fetched>),
    Known(Resolved),
}

/// A commit that is in a mirror, with the folder of it that is wanted.
pub(super) struct Fetched {
    /// Where it hangs in the source; empty for the source itself.
    pub(super) at: Vec<u8>,
    pub(super) depth: usize,
    pub(super) url: GitUrl,
    pub(super) commit: ObjectId,
    pub(super) reference: Option<String>,
    pub(super) objects: Objects,
    /// What is wanted of the commit.
    pub(super) tree: ObjectId,
    pub(super) context_dir: ContextDir,
    /// Held for as long as its objects are read.
    _mirror: Mirror,
}

impl Job<'_> {
    pub(super) async fn run(&self) -> Result<Found, Fault> {
        let _dropped = self.stop.clone().drop_guard();
        match self.found().await {
            // A mirror's disk lost it, most likely, and it would be so in each run to come.
            Err(fault) if fault.is_lost() && self.discard().await? => self.found().await,
            found => found,
        }
    }

    async fn found(&self) -> Result<Found, Fault> {
        let root = match self.root().await? {
            Brought::Here(root) => *root,
            Brought::Known(resolved) => {
                return Ok(Found::Known {
                    commit: resolved.commit.as_str().to_owned(),
                    reference: short(resolved.reference.as_deref()),
                });
            }
        };
        let mut commit = root.objects.commit(&root.commit).await?;
        commit.reference = short(root.reference.as_deref());
        let location = root.url.to_string();
        let mut warnings = Vec::new();
        let mut gathered = Gathered::new(self.limits, self.source.lfs, self.stop.clone());
        let mut all = vec![root];
        let mut next = 0;
        while next < all.len() {
            let listing = Listing::of(&all[next]);
            let added = move || gathered.add(&listing).map(|found| (gathered, found));
            let named;
            (gathered, named) = self.in_time(added).await?;
            let found = self.submodules(&all[next], named, &mut warnings).await?;
            all.extend(found);
            if all.len() > self.limits.submodules + 1 {
                return Err(Fault::too_large(format!(
                    "the source has more than {} submodules",
                    self.limits.submodules
                )));
            }
            next += 1;
        }
        let snapshot = self.snapshot(all, gathered, warnings).await?;
        let snapshot = Snapshot {
            location,
            commit: Some(commit),
            context_dir: self.source.context_dir.as_str().to_owned(),
            ..snapshot
        };
        Ok(Found::New(Box::new(snapshot)))
    }

    /// What the repository offers. Nothing is fetched, and nobody's fetch is waited for.
    pub(super) async fn references(&self) -> Result<References, Fault> {
        let accepted_hosts = self.mirrors.accepted_hosts(self.namespace).await?;
        let mut url = self.source.url.clone();
        loop {
            let remote = Remote::open(
                &url,
                self.source.credential.as_ref(),
                &self.network,
                (Path::new("/nonexistent"), &accepted_hosts),
                self.mirrors.sessions(),
                self.limits,
                self.until,
            );
            let remote = remote.await?;
            let found = remote.references().await;
            let elsewhere = found.as_ref().err().map(|fault| remote.elsewhere(fault));
            remote.end().await;
            match elsewhere.flatten() {
                // Once at most: what has the suffix has no other name.
                Some(other) => url = other,
                None => return found,
            }
        }
    }

    /// The source itself.
    async fn root(&self) -> Result<Brought, Fault> {
        let source = self.source;
        let credential = source.credential.as_ref();
        let wanted = Wanted {
            revision: &source.revision,
            context_dir: &source.context_dir,
            credential,
            known: self.known,
        };
        let mirror = self.take(&source.url).await?;
        match self.bring(mirror, &source.url, wanted).await {
            Ok(brought) => Ok(brought),
            Err((fault, None)) => Err(fault),
            // The server sends us to where it has the repository: not followed, but this one name is tried.
            Err((_, Some(url))) => {
                let mirror = self.take(&url).await?;
                let again = self.bring(mirror, &url, wanted).await;
                again.map_err(|(fault, _)| fault)
            }
        }
    }

    pub(super) async fn take(&self, url: &GitUrl) -> Result<Mirror, Fault> {
        let taken = self.taken.lock();
        taken
            .unwrap_or_else(PoisonError::into_inner)
            .push(url.clone());
        self.mirrors.take(self.namespace, url, self.until).await
    }

    /// Removes the mirrors that were taken; whether one of them is gone.
    async fn discard(&self) -> Result<bool, Fault> {
        let taken = self.taken.lock();
        let taken = std::mem::take(&mut *taken.unwrap_or_else(PoisonError::into_inner));
        let (mirrors, namespace) = (self.mirrors.clone(), self.namespace.to_owned());
        let gone = move |url: &GitUrl| mirrors.discard(&namespace, url);
        blocking(move || Ok(taken.iter().filter(|url| gone(url)).count() > 0)).await
    }

    /// Brings a commit into a mirror, unless it is known, and says with a fault where else the repository may be.
    pub(super) async fn bring(
        &self,
        mirror: Mirror,
        url: &GitUrl,
        wanted: Wanted<'_>,
    ) -> Result<Brought, (Fault, Option<GitUrl>)> {
        let remote = Remote::open(
            url,
            wanted.credential,
            &self.network,
            (mirror.folder(), mirror.accepted_hosts()),
            self.mirrors.sessions(),
            self.limits,
            self.until,
        );
        let remote = remote.await.map_err(|fault| (fault, None))?;
        let brought = self.brought(&remote, mirror, url, wanted).await;
        remote.end().await;
        brought
    }

    async fn brought(
        &self,
        remote: &Remote,
        mut mirror: Mirror,
        url: &GitUrl,
        wanted: Wanted<'_>,
    ) -> Result<Brought, (Fault, Option<GitUrl>)> {
        let resolved = remote.resolve(wanted.revision).await;
        let resolved = resolved.map_err(|fault| {
            let elsewhere = remote.elsewhere(&fault);
            (fault, elsewhere)
        })?;
        // Only what the server has just said of a branch or a tag: of a commit that was named it has not been asked.
        if resolved.reference.is_some() && (wanted.known)(resolved.commit.as_str()) {
            return Ok(Brought::Known(resolved));
        }
        let fetched = self.objects(remote, &mirror, resolved, wanted.context_dir);
        let (commit, reference, objects, tree) = fetched.await.map_err(|fault| (fault, None))?;
        mirror.fetched();
        Ok(Brought::Here(Box::new(Fetched {
            at: Vec::new(),
            depth: 0,
            url: url.clone(),
            commit,
            reference,
            objects,
            tree,
            context_dir: wanted.context_dir.clone(),
            _mirror: mirror,
        })))
    }

    async fn objects(
        &self,
        remote: &Remote,
        mirror: &Mirror,
        resolved: Resolved,
        context_dir: &ContextDir,
    ) -> Result<(ObjectId, Option<String>, Objects, ObjectId), Fault> {
        let written = self.mirrors.written();
        // What will read is started while the server is talked to.
        let fetched = remote.fetch(&resolved, context_dir.is_root());
        let fetched = counted(written, mirror, fetched);
        let objects = Objects::of(
            mirror.folder(),
            self.mirrors.sessions(),
            self.limits,
            self.until,
            self.stop.clone(),
        );
        let (commit, objects) = tokio::try_join!(fetched, objects)?;
        let tree = objects.tree(&commit, context_dir.as_str()).await?;
        let mut missing = objects.missing(&tree).await?;
        if !context_dir.is_root() {
            // It is at the repository's root whatever folder is wanted, and says where submodules are.
            missing.extend(objects.file(&commit, ".gitmodules").await.ok().flatten());
        }
        if !missing.is_empty() {
            let fetched = remote.fetch_objects(&missing, &commit);
            counted(written, mirror, fetched).await?;
        }
        Ok((commit, resolved.reference, objects, tree))
    }

    /// Reads everything out of the mirrors.
    async fn snapshot(
        &self,
        all: Vec<Fetched>,
        gathered: Gathered,
        mut warnings: Vec<Warning>,
    ) -> Result<Snapshot, Fault> {
        let Gathered { tree, pointers, .. } = gathered;
        let mut brought = None;
        if self.source.lfs {
            let urls: Vec<GitUrl> = all.iter().map(|fetched| fetched.url.clone()).collect();
            brought = Some(lfs::Files::bring(&tree, &urls, self).await?);
        } else if pointers > 0 {
            warnings.push(Warning::new(format!(
                "{pointers} files are pointers of Git LFS, not content: the build does not ask for LFS"
            )));
        }
        let (mode, stop) = (self.source.ignore, self.stop.clone());
        let (scratch, counted) = (
            self.mirrors.root().to_path_buf(),
            self.mirrors.written().clone(),
        );
        let written = move || {
            let repositories = all.iter().map(|fetched| fetched.objects.clone());
            let mut contents = Stored {
                repositories: repositories.collect(),
                lfs: brought,
            };
            let mut snapshot =
                snapshot::write(tree, &mut contents, mode, (&scratch, &counted), &stop)?;
            warnings.append(&mut snapshot.warnings);
            snapshot.warnings = warnings;
            Ok((snapshot, all))
        };
        let (snapshot, all) = self.in_time(written).await?;
        for fetched in all {
            fetched.objects.end().await;
        }
        Ok(snapshot)
    }

    /// Runs what blocks on a thread that may, for as long as there is time; it looks at `stop` itself.
    async fn in_time<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let until = tokio::time::Instant::from_std(self.until);
        let ended = tokio::time::timeout_at(until, blocking(work)).await;
        ended.unwrap_or_else(|_| Err(timed_out()))
    }
}

/// What of a repository is wanted, and with what credential.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) revision: &'a Revision,
    pub(super) context_dir: &'a ContextDir,
    pub(super) credential: Option<&'a Credential>,
    pub(super) known: &'a (dyn Fn(&str) -> bool + Sync),
}
