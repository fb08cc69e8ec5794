//! What the form of `builder` cannot say, and the words of the builder that its texts stand for.

use std::ops::RangeInclusive;

use anyhow::Context as _;
use builder::s2i::{AllowedUids, Scope, Variable};
use builder::sandbox::{HostRule, SandboxIds};
use builder::source::git;
use oci::RepoName;
use url::Url;

use super::{Builder, Proxy};
use crate::config::Span;
use crate::config::check::within;

/// Runs at once.
const WORKERS: RangeInclusive<usize> = 1..=1_000;
const WAITING: RangeInclusive<usize> = 1..=100_000;
const RECORDS: RangeInclusive<usize> = 1..=1_000_000;
/// Less than a runtime needs is raised by it; less than this is a mistake.
const MEMORY: RangeInclusive<u64> = 32 << 20..=1 << 50;
const CPU: RangeInclusive<u32> = 10..=10_000_000;
const PIDS: RangeInclusive<u32> = 32..=4_000_000;
const DISK: RangeInclusive<u64> = 1 << 20..=1 << 50;
const TIME: RangeInclusive<Span> = Span::seconds(1)..=Span::hours(24 * 30);
const KEPT: RangeInclusive<u64> = 0..=1 << 50;
const ENTRIES: RangeInclusive<usize> = 1..=10_000_000;
const SUBMODULES: RangeInclusive<usize> = 0..=10_000;
const LOG: RangeInclusive<u64> = 1 << 10..=1 << 36;
const RUNS: RangeInclusive<u32> = 1..=1_000_000;
const AT_LEAST: RangeInclusive<Span> = Span::seconds(0)..=Span::hours(24 * 36_500);
const AGE: RangeInclusive<Span> = Span::seconds(1)..=Span::hours(24 * 36_500);

impl Builder {
    /// An error names the key and says what it may be.
    pub(in crate::config) fn check(&self) -> anyhow::Result<()> {
        within("builder.workers", self.workers, &WORKERS)?;
        within("builder.namespaceWorkers", self.namespace_workers, &WORKERS)?;
        within("builder.namespaceWaiting", self.namespace_waiting, &WAITING)?;
        for (key, count) in [
            ("namespaceBuilds", self.namespace_builds),
            ("namespaceSecrets", self.namespace_secrets),
            ("namespaceBuilderImages", self.namespace_builder_images),
            ("namespaceRuns", self.namespace_runs),
        ] {
            within(&format!("builder.{key}"), count, &RECORDS)?;
        }
        anyhow::ensure!(
            !self.runtime.as_os_str().is_empty(),
            "builder.runtime: is empty: name runc, or leave the key out"
        );
        for name in &self.image_namespaces {
            anyhow::ensure!(
                RepoName::parse(name).is_ok_and(|name| name.rest().is_empty()),
                "builder.imageNamespaces: {name:?} is no namespace: write the first part of repositories' names"
            );
        }
        self.check_limits()?;
        self.check_sizes()?;
        self.registries()?;
        self.user_ids()?;
        self.allowed_uids()?;
        for name in &self.forbidden_env {
            let start = name.strip_suffix('*').unwrap_or(name);
            anyhow::ensure!(
                Variable::new(start, "", Scope::Build).is_ok() && !start.contains('*'),
                "builder.forbiddenEnv: {name:?} is no variable's name: write one, or the beginning of names with * behind it"
            );
        }
        if let Some(proxy) = &self.proxy {
            proxy.check()?;
        }
        for authority in &self.git.authorities {
            let host = &authority.host;
            anyhow::ensure!(
                git::server(host).is_some(),
                "builder.git.authorities: {host:?} is no server: write its name or address, and :port if only that is meant"
            );
        }
        Ok(())
    }

    /// The hosts of `registries-only`.
    pub(crate) fn registries(&self) -> anyhow::Result<Vec<HostRule>> {
        host_rules("builder.network.registries", &self.network.registries)
    }

    /// Who may run scripts.
    pub(crate) fn allowed_uids(&self) -> anyhow::Result<AllowedUids> {
        self.allowed_uids.parse().context("builder.allowedUids")
    }

    /// What users inside are outside, where the server is root.
    pub(crate) fn user_ids(&self) -> anyhow::Result<SandboxIds> {
        let ids = SandboxIds::range(self.user_ids.first, self.user_ids.count);
        ids.context("builder.userIds")
    }

    fn check_limits(&self) -> anyhow::Result<()> {
        let (defaults, limits) = (&self.defaults, &self.limits);
        bounded(
            "memoryBytes",
            defaults.memory_bytes,
            limits.memory_bytes,
            &MEMORY,
        )?;
        bounded("cpuMillis", defaults.cpu_millis, limits.cpu_millis, &CPU)?;
        bounded("pids", defaults.pids, limits.pids, &PIDS)?;
        bounded(
            "diskBytes",
            defaults.disk_bytes,
            Some(limits.disk_bytes),
            &DISK,
        )?;
        bounded("runTime", defaults.run_time, Some(limits.run_time), &TIME)?;
        bounded(
            "queueTime",
            defaults.queue_time,
            Some(limits.queue_time),
            &TIME,
        )
    }

    fn check_sizes(&self) -> anyhow::Result<()> {
        let sources = &self.sources;
        within("builder.sources.maxEntries", sources.max_entries, &ENTRIES)?;
        within("builder.sources.maxBytes", sources.max_bytes, &DISK)?;
        within(
            "builder.sources.maxFetchedBytes",
            sources.max_fetched_bytes,
            &DISK,
        )?;
        within(
            "builder.sources.maxSubmodules",
            sources.max_submodules,
            &SUBMODULES,
        )?;
        within("builder.sources.timeout", sources.timeout, &TIME)?;
        within("builder.minFreeBytes", self.min_free_bytes, &KEPT)?;
        within("builder.git.mirrorBytes", self.git.mirror_bytes, &KEPT)?;
        within("builder.cache.maxBytes", self.cache.max_bytes, &KEPT)?;
        within("builder.layers.maxBytes", self.layers.max_bytes, &KEPT)?;
        within("builder.logs.maxBytes", self.logs.max_bytes, &LOG)?;
        within(
            "builder.retention.succeeded",
            self.retention.succeeded,
            &RUNS,
        )?;
        within("builder.retention.failed", self.retention.failed, &RUNS)?;
        let at_least = self.retention.at_least;
        within("builder.retention.atLeast", at_least, &AT_LEAST)?;
        let age = self.retention.age;
        age.map_or(Ok(()), |age| within("builder.retention.age", age, &AGE))
    }
}

impl Proxy {
    fn check(&self) -> anyhow::Result<()> {
        // Not repeated: there may be a password in it.
        let url = Url::parse(&self.url).ok().filter(|url| {
            let is_plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
            url.scheme() == "http" && url.has_host() && is_plain
        });
        let url = url.context("builder.proxy.url: a proxy is written http://host:port")?;
        anyhow::ensure!(
            url.username().is_empty() && url.password().is_none(),
            "builder.proxy.url: user and password belong in a file: name it in builder.proxy.credentialsFile"
        );
        self.direct().map(drop)
    }

    /// Hosts that are reached without it.
    pub(crate) fn direct(&self) -> anyhow::Result<Vec<HostRule>> {
        host_rules("builder.proxy.direct", &self.direct)
    }
}

fn host_rules(key: &str, hosts: &[String]) -> anyhow::Result<Vec<HostRule>> {
    let rules = hosts.iter().map(|host| host.parse());
    let rules: Result<_, _> = rules.collect();
    rules.with_context(|| key.to_owned())
}

/// A default and its limit, each in range, and the one within the other.
fn bounded<T: Copy + std::fmt::Display + PartialOrd>(
    key: &str,
    default: Option<T>,
    limit: Option<T>,
    range: &RangeInclusive<T>,
) -> anyhow::Result<()> {
    if let Some(limit) = limit {
        within(&format!("builder.limits.{key}"), limit, range)?;
    }
    let Some(default) = default else {
        return Ok(());
    };
    within(&format!("builder.defaults.{key}"), default, range)?;
    if let Some(limit) = limit {
        anyhow::ensure!(
            default <= limit,
            "builder.defaults.{key}: {default} is more than builder.limits.{key}, which is {limit}"
        );
    }
    Ok(())
}
