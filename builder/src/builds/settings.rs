//! What the configuration says of builds.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::Compression;
use crate::driver::Driver;
use crate::images::Images;
use crate::ledger::Ledger;
use crate::plan::{Limits, Network};
use crate::records::Retention;
use crate::s2i::{AllowedUids, EnvFilter};
use crate::secrets::SecretKeys;
use crate::source::git::GitFetcher;
use crate::source::{SourceLimits, SourceNetwork};

/// What the service stands on.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Keeps records.
    pub ledger: Arc<dyn Ledger>,
    /// The registry.
    pub images: Arc<dyn Images>,
    /// Runs plans.
    pub driver: Arc<dyn Driver>,
    /// Seal secrets.
    pub secret_keys: Arc<SecretKeys>,
    /// Fetches repositories.
    pub git: GitFetcher,
    /// How scripts by a URL are fetched.
    pub network: SourceNetwork,
}

/// What the configuration says of builds.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of runs' logs.
    pub logs: PathBuf,
    /// A folder for unnamed temporary files, on a disk with room for sources.
    pub scratch: PathBuf,
    /// Names of this registry, `host[:port]`: taken off images' names.
    pub hosts: Vec<String>,
    /// Runs at work at a time.
    pub workers: usize,
    /// Of them in one namespace.
    pub namespace_workers: usize,
    /// Runs that may wait in one namespace.
    pub namespace_waiting: usize,
    /// What one namespace may have.
    pub quota: Quota,
    /// How long a run may wait.
    pub queue_timeout: Timeout,
    /// How long a run may work, all its parts together.
    pub run_timeout: Timeout,
    /// How long ended runs are kept, where a spec does not say it.
    pub retention: Retention,
    /// How long an ended run stays, however many there are, where its spec does not say how many.
    pub kept_at_least: Duration,
    /// Longest log of a run, in bytes of text.
    pub log_bytes: u64,
    /// For so long a run waits at its end for a log that cannot be written.
    pub log_patience: Duration,
    /// The most that a run may use up.
    pub limits: Limits,
    /// Whether limits of memory, processors and processes can be enforced; where they cannot, a spec that asks for one is refused.
    pub enforces_limits: bool,
    /// What a run may use up where its spec does not say it; `None`: the most.
    pub usual: Limits,
    /// The most that programs of a run may reach, and what they do where its spec does not say it.
    pub network: Network,
    /// Bounds on sources that come out of the registry.
    pub source: SourceLimits,
    /// Who may run scripts.
    pub allowed_uids: AllowedUids,
    /// Which names variables may not have.
    pub env_filter: EnvFilter,
    /// How results' layers are packed.
    pub compression: Compression,
}

/// How much is kept for one namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Builds; no more are made.
    pub builds: usize,
    /// Secrets; no more are made.
    pub secrets: usize,
    /// Entries of the catalogue of builder images; no more are made.
    pub builder_images: usize,
    /// Runs, with their logs, whatever their builds keep: of more, those that ended first are removed.
    pub runs: usize,
}

/// 500 builds, 500 secrets, 200 builder images, 5000 runs.
impl Default for Quota {
    fn default() -> Self {
        Self {
            builds: 500,
            secrets: 500,
            builder_images: 200,
            runs: 5_000,
        }
    }
}

/// How long something may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout {
    /// Where a spec does not say it.
    pub usual: Duration,
    /// The longest that a spec may say.
    pub most: Duration,
}

impl Timeout {
    /// The same whether a spec says it or not.
    pub const fn of(most: Duration) -> Self {
        let usual = most;
        Self { usual, most }
    }
}

impl Settings {
    /// The defaults, with a folder of logs and one for temporary files.
    pub fn new(logs: PathBuf, scratch: PathBuf) -> Self {
        Self {
            logs,
            scratch,
            hosts: Vec::new(),
            workers: 2,
            namespace_workers: 2,
            namespace_waiting: 100,
            quota: Quota::default(),
            queue_timeout: Timeout::of(Duration::from_secs(3600)),
            run_timeout: Timeout::of(Duration::from_secs(3600)),
            retention: Retention {
                succeeded: Some(20),
                failed: Some(20),
                seconds: None,
            },
            kept_at_least: Duration::from_secs(24 * 3600),
            log_bytes: 64 << 20,
            log_patience: Duration::from_secs(5),
            limits: Limits::default(),
            enforces_limits: true,
            usual: Limits::default(),
            network: Network::Full,
            source: SourceLimits::default(),
            allowed_uids: AllowedUids::default(),
            env_filter: EnvFilter::usual(),
            compression: Compression::Gzip,
        }
    }
}
