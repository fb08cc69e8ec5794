//! Fetching repositories.

use std::borrow::Cow;
use std::sync::Mutex;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::context::ContextDir;
use super::credential::Credential;
use super::job::{Found, Job};
use super::mirror::Mirrors;
use super::references::References;
use super::revision::Revision;
use super::url::GitUrl;
use super::version;
use crate::room::Written;
use crate::s2i::IgnoreMode;
use crate::source::{Fault, FaultClass, Snapshot, SourceLimits, SourceNetwork};

/// A repository and what of it is wanted.
#[derive(Clone, Debug)]
pub struct GitSource {
    /// Where it is.
    pub url: GitUrl,
    /// Which commit.
    pub revision: Revision,
    /// Which folder.
    pub context_dir: ContextDir,
    /// What identifies us to its server, and to no other.
    pub credential: Option<Credential>,
    /// PEM certificates of authorities that are trusted for its server beside the configuration's; empty if there are none.
    pub authorities: String,
    /// Whether submodules are fetched too, those within submodules included. If not, their folders are empty.
    pub submodules: bool,
    /// Whether Git LFS's files are fetched too. If not, their pointers are what the source holds.
    pub lfs: bool,
    /// How `.s2iignore` is read.
    pub ignore: IgnoreMode,
}

/// Fetches repositories.
#[derive(Clone, Debug)]
pub struct GitFetcher {
    mirrors: Mirrors,
    network: SourceNetwork,
    limits: SourceLimits,
}

impl GitFetcher {
    /// A fetcher with its cache, what the configuration says of the network, and bounds.
    pub fn new(mirrors: Mirrors, network: SourceNetwork, limits: SourceLimits) -> Self {
        Self {
            mirrors,
            network,
            limits,
        }
    }

    /// The same for one run: what it writes is counted in `written` as it comes.
    pub(crate) fn for_run(&self, written: &Written) -> Self {
        Self {
            mirrors: self.mirrors.for_run(written),
            ..self.clone()
        }
    }

    /// Fetches a source for a namespace. Dropping the future ends what talks to a server, with all that it started, and
    /// soon what reads the mirror.
    pub async fn fetch(&self, namespace: &str, source: &GitSource) -> Result<Snapshot, Fault> {
        match self.fetch_unless(namespace, source, &|_| false).await? {
            Found::New(snapshot) => Ok(*snapshot),
            Found::Known { commit, .. } => {
                let message = format!("commit {commit} was taken for a known one");
                Err(Fault::new(FaultClass::Machine, message))
            }
        }
    }

    /// The same, but that nothing is fetched where the server says that the branch or the tag stands for a commit that is known.
    pub async fn fetch_unless(
        &self,
        namespace: &str,
        source: &GitSource,
        known: &(dyn Fn(&str) -> bool + Sync),
    ) -> Result<Found, Fault> {
        version::check(self.mirrors.sessions().user()).await?;
        self.job(namespace, source, known).run().await
    }

    /// What a repository offers to be built: for choosing, for seeing whether a URL and its secret are right, and
    /// whether there is anything new.
    pub async fn references(
        &self,
        namespace: &str,
        source: &GitSource,
    ) -> Result<References, Fault> {
        version::check(self.mirrors.sessions().user()).await?;
        self.job(namespace, source, &|_| false).references().await
    }

    fn job<'a>(
        &'a self,
        namespace: &'a str,
        source: &'a GitSource,
        known: &'a (dyn Fn(&str) -> bool + Sync),
    ) -> Job<'a> {
        let (host, port) = (source.url.host(), source.url.port());
        let network = if source.authorities.is_empty() {
            Cow::Borrowed(&self.network)
        } else {
            Cow::Owned(self.network.trusting(host, port, &source.authorities))
        };
        Job {
            mirrors: &self.mirrors,
            network,
            limits: self.limits,
            namespace,
            source,
            until: Instant::now() + self.limits.time,
            known,
            stop: CancellationToken::new(),
            taken: Mutex::default(),
        }
    }
}
