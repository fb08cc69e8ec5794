//! Talking to a server: which commit is meant, and bringing its objects.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::OnceCell;

use super::blocking::blocking;
use super::complaint::{is_redirect, understand};
use super::credential::Credential;
use super::listing::Listing;
use super::ls_refs::LsRefs;
use super::process::{Allowance, Ended, run};
use super::references::References;
use super::resolved::{Resolved, chosen, missing, patterns};
use super::revision::{ObjectId, Revision};
use super::session::{Session, proxy_of};
use super::sessions::Sessions;
use super::url::{GitUrl, Scheme};
use crate::source::{Fault, FaultClass, SourceLimits, SourceNetwork};

/// A server and a repository of it, as one run sees them.
#[derive(Debug)]
pub(crate) struct Remote {
    talk: Talk,
    /// Made when git is needed: nearly always `ls_refs` says all that is asked.
    session: OnceCell<Arc<Session>>,
    ls_refs: Option<LsRefs>,
    has_credential: bool,
    until: Instant,
    limits: SourceLimits,
}

/// What a session is made of.
#[derive(Clone, Debug)]
struct Talk {
    url: GitUrl,
    repository: PathBuf,
    servers: Vec<SocketAddr>,
    credential: Option<Credential>,
    network: SourceNetwork,
    accepted_hosts: PathBuf,
    sessions: Sessions,
}

impl Talk {
    fn session(&self) -> Result<Session, Fault> {
        Session::remote(
            &self.url,
            &self.repository,
            self.servers.clone(),
            self.credential.as_ref(),
            &self.network,
            &self.accepted_hosts,
            &self.sessions,
        )
    }
}

/// Bytes of the list of references that are read.
pub(super) const MAX_REFERENCES: usize = 4 << 20;

/// Bytes of other answers.
const MAX_ANSWER: usize = 64 << 10;

impl Remote {
    /// Checks where the server is and what it may be shown. Nothing is sent yet.
    /// `repository` is what is fetched into; where nothing is, nothing can be.
    pub(crate) async fn open(
        url: &GitUrl,
        credential: Option<&Credential>,
        network: &SourceNetwork,
        (repository, accepted_hosts): (&Path, &Path),
        sessions: &Sessions,
        limits: SourceLimits,
        until: Instant,
    ) -> Result<Self, Fault> {
        if let Some(credential) = credential {
            credential.fits(url)?;
        }
        let addresses = match url.scheme() {
            Scheme::Https => network.addresses(url.host(), url.port()).await?,
            Scheme::Http => network.loopback(url.host(), url.port()).await?,
            Scheme::Ssh => network.ssh_addresses(url.host(), url.port()).await?,
        };
        let servers = match proxy_of(url, network)? {
            None => addresses
                .iter()
                .map(|ip| SocketAddr::new(*ip, url.port()))
                .collect(),
            Some(proxy) => SourceNetwork::proxy_at(proxy.server()).await?,
        };
        let talk = Talk {
            url: url.clone(),
            repository: repository.to_path_buf(),
            servers,
            credential: credential.cloned(),
            network: network.clone(),
            accepted_hosts: accepted_hosts.to_path_buf(),
            sessions: sessions.clone(),
        };
        Ok(Self {
            talk,
            session: OnceCell::new(),
            ls_refs: LsRefs::of(url, &addresses, credential, network),
            has_credential: credential.is_some(),
            until,
            limits,
        })
    }

    /// All branches and tags.
    pub(crate) async fn references(&self) -> Result<References, Fault> {
        let all = ["HEAD", "refs/heads/*", "refs/tags/*"];
        Ok(References::of(&self.listing(&all).await?))
    }

    /// Asks the server. It is asked even for a commit that was fetched before: whether this credential may still read the
    /// repository is the server's to say.
    pub(crate) async fn resolve(&self, revision: &Revision) -> Result<Resolved, Fault> {
        let wanted = patterns(revision);
        let names: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let listing = self.listing(&names).await?;
        if let Revision::Commit(id) = revision {
            return Ok(Resolved {
                commit: id.clone(),
                reference: None,
            });
        }
        chosen(&wanted, &listing).ok_or_else(|| {
            Fault::new(
                FaultClass::GitRevisionNotFound,
                format!("{}: {}", self.talk.url, missing(revision)),
            )
        })
    }

    /// What the server lists of these names and patterns, and it may be of more. Refused where nothing of it could be fetched: a mirror
    /// has one kind of ids, and it is there before the server has said which it has.
    async fn listing(&self, wanted: &[&str]) -> Result<Listing, Fault> {
        let listing = self.listed(wanted).await?;
        if listing.iter().all(|reference| reference.id.is_sha1()) {
            return Ok(listing);
        }
        Err(Fault::hostile(format!(
            "{}: the repository names its objects by SHA-256, and builds fetch from those that name them by SHA-1 alone",
            self.talk.url
        )))
    }

    async fn listed<'n>(&self, wanted: &[&'n str]) -> Result<Listing, Fault> {
        if let Some(ls_refs) = &self.ls_refs {
            // What an annotated tag points at is told with the tag.
            let prefix = |name: &&'n str| name.trim_end_matches('*').trim_end_matches("^{}");
            let prefixes: Vec<&str> = wanted.iter().map(prefix).collect();
            let listing = ls_refs.ask(&prefixes, self.until).await;
            if let Some(listing) = listing.filter(|listing| listing.iter().next().is_some()) {
                return Ok(listing);
            }
        }
        let arguments = [&["ls-remote", "--quiet", "--symref", "origin"], wanted].concat();
        let ended = self.run(&arguments, b"", MAX_REFERENCES).await?;
        if !ended.success {
            return Err(self.fault(&ended));
        }
        Ok(Listing::printed(&String::from_utf8_lossy(&ended.stdout)))
    }

    /// Brings a commit and its trees into the mirror; with `blobs`, the files' content too. Gives the commit that a branch
    /// led to if the server would not give the one that it named a moment ago.
    pub(crate) async fn fetch(&self, wanted: &Resolved, blobs: bool) -> Result<ObjectId, Fault> {
        let commit = wanted.commit.as_str();
        // Where it was fetched to before; it was whole then, but for files' content.
        if self.has("refs/slipway", commit).await? {
            return Ok(wanted.commit.clone());
        }
        let filter = if blobs {
            "--no-filter"
        } else {
            "--filter=blob:none"
        };
        let exactly = format!("+{commit}:refs/slipway/{commit}");
        let shallow = ["--depth=1", filter, "origin", &exactly];
        let ended = self.fetch_with(&shallow, b"").await?;
        if ended.success {
            return Ok(wanted.commit.clone());
        }
        let fault = self.fault(&ended);
        if fault.class() != FaultClass::GitRevisionNotFound {
            return Err(fault);
        }
        // The server gives only what its references name: the reference as it is now, or, for a commit, all of them.
        if let Some(reference) = &wanted.reference {
            let now = format!("+{reference}:refs/slipway/latest");
            let ended = self
                .fetch_with(&["--depth=1", filter, "origin", &now], b"")
                .await?;
            if !ended.success {
                return Err(self.fault(&ended));
            }
            return self.parse("refs/slipway/latest^{commit}").await;
        }
        self.fetch_all(&[filter]).await?;
        let found = self.parse(&format!("{commit}^{{commit}}")).await;
        found.map_err(|_| {
            let revision = Revision::Commit(wanted.commit.clone());
            let message = format!("{}: {}", self.talk.url, missing(&revision));
            Fault::new(FaultClass::GitRevisionNotFound, message)
        })
    }

    /// Whether a folder of the repository has a file of this name.
    async fn has(&self, folder: &str, name: &str) -> Result<bool, Fault> {
        let file = self.talk.repository.join(folder).join(name);
        blocking(move || Ok(file.exists())).await
    }

    /// Brings what all references have, with its history.
    async fn fetch_all(&self, options: &[&str]) -> Result<(), Fault> {
        let deepen = if self.has("", "shallow").await? {
            "--unshallow"
        } else {
            "--force"
        };
        let mut arguments = vec![deepen];
        arguments.extend(options);
        arguments.extend(["origin", "+refs/*:refs/slipway/all/*"]);
        let ended = self.fetch_with(&arguments, b"").await?;
        if ended.success {
            return Ok(());
        }
        Err(self.fault(&ended))
    }

    /// Brings files' content of a commit that a fetch without blobs left out: these objects.
    pub(crate) async fn fetch_objects(
        &self,
        objects: &[ObjectId],
        of: &ObjectId,
    ) -> Result<(), Fault> {
        if objects.is_empty() {
            return Ok(());
        }
        let list: Vec<&str> = objects.iter().map(ObjectId::as_str).collect();
        let list = list.join(
            "
",
        ) + "
";
        let ended = self
            .fetch_with(
                &["--filter=blob:none", "--stdin", "origin"],
                list.as_bytes(),
            )
            .await?;
        if ended.success {
            return Ok(());
        }
        let fault = self.fault(&ended);
        if fault.class() != FaultClass::GitRevisionNotFound {
            return Err(fault);
        }
        // The server gives nothing by its id that no reference names: all of the commit, or, if it is not at the tip of one either,
        // of all of them. What is here already does not count: it lacks what is wanted.
        let of = of.as_str();
        let exactly = format!("+{of}:refs/slipway/{of}");
        let whole = ["--refetch", "--no-filter"];
        let shallow = [&whole[..], &["--depth=1", "origin", &exactly]].concat();
        let ended = self.fetch_with(&shallow, b"").await?;
        if ended.success {
            return Ok(());
        }
        let fault = self.fault(&ended);
        match fault.class() {
            // Of a commit that is here and that no reference names, git 2.39 says that the protocol was broken.
            FaultClass::GitRevisionNotFound | FaultClass::GitError => self.fetch_all(&whole).await,
            _ => Err(fault),
        }
    }

    async fn fetch_with(&self, arguments: &[&str], input: &[u8]) -> Result<Ended, Fault> {
        let mut all = vec![
            "-c",
            if input.is_empty() {
                "fetch.negotiationAlgorithm=default"
            } else {
                // What is asked for by its id is not compared with what is there.
                "fetch.negotiationAlgorithm=noop"
            },
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-auto-maintenance",
            "--no-recurse-submodules",
            "--no-write-fetch-head",
        ];
        all.extend(arguments);
        self.run(&all, input, MAX_ANSWER).await
    }

    async fn parse(&self, name: &str) -> Result<ObjectId, Fault> {
        let arguments = ["rev-parse", "--verify", "--quiet", "--end-of-options", name];
        let ended = self.run(&arguments, b"", MAX_ANSWER).await?;
        let id = ObjectId::parse(String::from_utf8_lossy(&ended.stdout).trim());
        id.ok_or_else(|| self.fault(&ended))
    }

    async fn run(&self, arguments: &[&str], input: &[u8], output: usize) -> Result<Ended, Fault> {
        let allowance = Allowance {
            until: self.until,
            output,
            growth: Some((&*self.talk.repository, self.limits.fetched_bytes)),
        };
        let session = self.session.get_or_try_init(async || {
            let talk = self.talk.clone();
            blocking(move || talk.session()).await.map(Arc::new)
        });
        run(session.await?, arguments, input, allowance).await
    }

    /// Removes what was made for talking, credentials among it, and returns when it is gone. Dropped, it goes soon.
    pub(crate) async fn end(self) {
        if let Some(session) = self.session.into_inner() {
            Session::end(session).await;
        }
    }

    fn fault(&self, ended: &Ended) -> Fault {
        understand(&self.talk.url, self.has_credential, &ended.printed)
    }

    /// The same repository under the name that servers send others to, if an error says that this is what happened.
    pub(crate) fn elsewhere(&self, fault: &Fault) -> Option<GitUrl> {
        is_redirect(&fault.to_string())
            .then(|| self.talk.url.with_suffix())
            .flatten()
    }
}
