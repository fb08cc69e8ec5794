//! What the form of the file cannot say: ranges of values and rules between keys.

use std::fmt::Display;
use std::ops::RangeInclusive;

use auth::Tokens;
use auth::kubernetes::pull_secrets;
use axum::http::uri::Authority;
use url::Url;

use super::{Auth, Config, Index, Kubernetes, Limits, Span, Storage, audit};

/// Connections or requests at once. More than one machine can have, and less than what would overflow.
const PLACES: RangeInclusive<usize> = 1..=10_000_000;
/// Sizes are signed where they are kept.
const BYTES: RangeInclusive<u64> = 1..=i64::MAX as u64;
const CACHE: RangeInclusive<u64> = 0..=1 << 40;
/// Less would cut off clients that do nothing wrong.
const PATIENCE: RangeInclusive<Span> = Span::milliseconds(100)..=Span::hours(24);
const DRAIN: RangeInclusive<Span> = Span::seconds(0)..=Span::hours(24);
const EXPIRY: RangeInclusive<Span> = Span::seconds(1)..=Span::hours(24 * 365);
/// What is taken away in a cluster ends here within a minute, and what is granted holds within ten seconds.
const ALLOW: RangeInclusive<Span> = Span::seconds(0)..=Span::seconds(60);
const DENY: RangeInclusive<Span> = Span::seconds(0)..=Span::seconds(10);
const DECISION: RangeInclusive<Span> = Span::milliseconds(100)..=Span::seconds(60);
/// Clients of the token protocol take every token for one minute at least.
const LIFETIME: RangeInclusive<Span> = Span::seconds(60)..=Span::seconds(Tokens::MAX_TTL.as_secs());
const REFRESH: RangeInclusive<Span> = Span::seconds(0)..=Span::hours(365 * 24);
const API_TOKEN: RangeInclusive<Span> = Span::seconds(60)..=Span::hours(10 * 365 * 24);
const API_TOKENS: RangeInclusive<usize> = 0..=10_000;

impl Config {
    /// An error names the key and says what it may be.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            !self.listen.is_empty(),
            "listen: name at least one address, such as 127.0.0.1:5000"
        );
        check_hosts("hosts", &self.hosts)?;
        self.limits.check()?;
        within("uploads.maxBlobBytes", self.uploads.max_blob_bytes, &BYTES)?;
        within("uploads.expireAfter", self.uploads.expire_after, &EXPIRY)?;
        within("audit.retention", self.audit.retention, &audit::RETENTION)?;
        within("audit.maxRows", self.audit.max_rows, &audit::ROWS)?;
        within("drainTimeout", self.drain_timeout, &DRAIN)?;
        if let Some(endpoint) = &self.telemetry.otlp_endpoint {
            let url = Url::parse(endpoint);
            anyhow::ensure!(
                url.is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()),
                "telemetry.otlpEndpoint: {endpoint:?} is no URL such as http://127.0.0.1:4318"
            );
        }
        self.auth.check()?;
        self.builder.check()?;
        self.pull_secrets()?;
        self.check_places()?;
        self.check_exposure()
    }

    /// What the pull secrets of a cluster are to be, if they are to be kept.
    pub(crate) fn pull_secrets(&self) -> anyhow::Result<Option<pull_secrets::Settings>> {
        const AT: &str = "auth.kubernetes.pullSecrets";
        let enabled = |kubernetes: &&Kubernetes| kubernetes.pull_secrets.enabled;
        let Some(kubernetes) = self.auth.kubernetes.as_ref().filter(enabled) else {
            return Ok(None);
        };
        let keys = &kubernetes.pull_secrets;
        check_hosts(&format!("{AT}.hosts"), &keys.hosts)?;
        let parts = pull_secrets::Parts {
            name: keys.name.clone(),
            hosts: [self.hosts.as_slice(), &keys.hosts].concat(),
            accounts: keys.service_accounts.clone(),
            audience: kubernetes.audiences.first().cloned().unwrap_or_default(),
            lifetime: keys.lifetime.get(),
            renew_before: keys.renew_before.get(),
            grant_pull: keys.grant_pull,
            withdraw: keys.withdraw,
        };
        match pull_secrets::Settings::new(parts) {
            Ok(settings) => Ok(Some(settings)),
            Err(error) => anyhow::bail!("{AT}.{error}"),
        }
    }

    /// Content and index live equally long: content without its index is refused at the next
    /// start, and an index without its content describes what is gone.
    fn check_places(&self) -> anyhow::Result<()> {
        let index = self.index();
        match (self.storage(), index.is_in_memory()) {
            (Storage::Fs(_), true) => anyhow::bail!(
                "index.sqlite.path: an index in memory is gone at the next start while the content \
                 is not: name a file, or leave the key out"
            ),
            (Storage::Memory(_), false) => anyhow::bail!(
                "index: a file outlives storage.memory and would describe what is gone: leave the \
                 key out"
            ),
            _ => {}
        }
        let Index::Sqlite(sqlite) = index;
        anyhow::ensure!(
            !sqlite.path.as_os_str().is_empty(),
            "index.sqlite.path: is empty: name a file, or leave the key out"
        );
        Ok(())
    }

    /// Open to other machines only by decision.
    fn check_exposure(&self) -> anyhow::Result<()> {
        let exposed = self
            .listen
            .iter()
            .find(|a| !a.ip().to_canonical().is_loopback());
        if let Some(address) = exposed
            && self.auth.is_open()
            && !self.insecure_open
        {
            anyhow::bail!(
                "listen: {address} can be reached from other machines, and no authentication is \
                 configured: set auth.htpasswd, or pass --insecure-open to serve everyone"
            );
        }
        Ok(())
    }
}

impl Auth {
    fn check(&self) -> anyhow::Result<()> {
        if let Some(kubernetes) = &self.kubernetes {
            kubernetes.check()?;
            anyhow::ensure!(
                self.rbac.is_none(),
                "auth.rbac: with auth.kubernetes the cluster's rules decide: leave one of them out"
            );
        }
        anyhow::ensure!(
            self.rbac.is_some() || self.kubernetes.is_some() || !self.anonymous,
            "auth.anonymous: no rules say what strangers may do: set auth.rbac.dir or auth.kubernetes"
        );
        anyhow::ensure!(
            self.rbac.is_none()
                || self.htpasswd.is_some()
                || !self.oidc.is_empty()
                || self.anonymous,
            "auth.rbac: nobody can log in to use these rights: set auth.htpasswd.file or auth.oidc, or \
             auth.anonymous: true for rights of system:anonymous"
        );
        for oidc in &self.oidc {
            anyhow::ensure!(
                oidc.scopes.iter().any(|scope| scope == "openid"),
                "auth.oidc: scopes: openid must be one of them, or the provider makes no ID token"
            );
        }
        within("auth.tokens.lifetime", self.tokens.lifetime, &LIFETIME)?;
        let refresh = self.tokens.refresh_lifetime;
        within("auth.tokens.refreshLifetime", refresh, &REFRESH)?;
        let longest = self.api_tokens.max_lifetime;
        within("auth.apiTokens.maxLifetime", longest, &API_TOKEN)?;
        within(
            "auth.apiTokens.perUser",
            self.api_tokens.per_user,
            &API_TOKENS,
        )
    }
}

impl Kubernetes {
    fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.in_cluster != self.kubeconfig.is_some(),
            "auth.kubernetes: name the cluster by one of kubeconfig: FILE and inCluster: true"
        );
        anyhow::ensure!(
            self.context.is_none() || self.kubeconfig.is_some(),
            "auth.kubernetes.context: belongs to auth.kubernetes.kubeconfig"
        );
        for (key, text) in [("group", &self.group), ("resource", &self.resource)] {
            anyhow::ensure!(!text.is_empty(), "auth.kubernetes.{key}: is empty");
        }
        anyhow::ensure!(
            self.audiences.iter().all(|audience| !audience.is_empty()),
            "auth.kubernetes.audiences: one of them is empty"
        );
        within("auth.kubernetes.allowFor", self.allow_for, &ALLOW)?;
        within("auth.kubernetes.denyFor", self.deny_for, &DENY)?;
        within("auth.kubernetes.timeout", self.timeout, &DECISION)
    }
}

impl Limits {
    fn check(&self) -> anyhow::Result<()> {
        for (key, places) in [
            ("limits.connections", self.connections),
            ("limits.blobs", self.blobs),
            ("limits.uploads", self.uploads),
            ("limits.manifests", self.manifests),
            ("limits.lists", self.lists),
            ("limits.others", self.others),
        ] {
            within(key, places, &PLACES)?;
        }
        for (key, span) in [
            ("limits.handshakeTimeout", self.handshake_timeout),
            ("limits.headerTimeout", self.header_timeout),
            ("limits.bodyTimeout", self.body_timeout),
            ("limits.sendTimeout", self.send_timeout),
        ] {
            within(key, span, &PATIENCE)?;
        }
        within(
            "limits.manifestCacheBytes",
            self.manifest_cache_bytes,
            &CACHE,
        )
    }
}

fn check_hosts(key: &str, hosts: &[String]) -> anyhow::Result<()> {
    for host in hosts {
        anyhow::ensure!(
            host.parse::<Authority>().is_ok() && !host.contains('@'),
            "{key}: {host:?} is neither host nor host:port"
        );
    }
    Ok(())
}

pub(super) fn within<T: Copy + Display + PartialOrd>(
    key: &str,
    value: T,
    range: &RangeInclusive<T>,
) -> anyhow::Result<()> {
    anyhow::ensure!(
        range.contains(&value),
        "{key}: {value} is out of range: it may be from {} to {}",
        range.start(),
        range.end()
    );
    Ok(())
}
