//! From a configuration to a registry behind its front door. The configuration ends here: no
//! other room sees it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use auth::{AllowAuthenticated, Authenticator, Gate, Htpasswd, Policy, Rbac, Tokens};
use registry::Registry;
use registry::http::{AccessLog, Admissions, Format, Front, Hosts, Limits, Metrics, Observer};
use registry::http::{Sink, TrustedProxies};

use crate::commands::VERSION;
use crate::config::{Auth, Config, LogFormat};
use crate::storage::{self, Lock};

/// How often htpasswd and RBAC files are looked at.
const POLL: Duration = Duration::from_secs(2);

/// The registry and its front door.
pub(crate) struct Wired {
    pub(crate) registry: Arc<Registry>,
    pub(crate) front: Arc<Front>,
    /// Held for as long as the registry is.
    pub(crate) _lock: Lock,
}

/// Opens storage, loads rights, and puts the front door before them.
pub(crate) async fn wire(config: &Config, sink: Option<Sink>) -> anyhow::Result<Wired> {
    let lock = storage::lock(config)?;
    let storage = storage::open(config, &lock).await?;
    let registry = Arc::new(Registry::new(storage, gate(config)?));
    let observer = Arc::new(Observer {
        metrics: Metrics::new(VERSION),
        log: AccessLog::start(format(config))?,
        sink,
    });
    let front = Front::new(
        Arc::clone(&registry),
        limits(config),
        observer,
        axum::Router::new(),
    )?;
    let front = Arc::new(front);
    Ok(Wired {
        registry,
        front,
        _lock: lock,
    })
}

fn format(config: &Config) -> Format {
    match config.log.format {
        _ if !config.log.requests => Format::Off,
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    }
}

fn limits(config: &Config) -> Limits {
    Limits {
        admissions: Admissions {
            blobs: config.limits.blobs,
            uploads: config.limits.uploads,
            manifests: config.limits.manifests,
            lists: config.limits.lists,
        },
        body_stall: config.limits.body_timeout.get(),
        trusted_proxies: TrustedProxies::new(config.trusted_proxies.clone()),
        hosts: Hosts::new(config.hosts.clone()),
    }
}

/// The gate. Must run inside the runtime: files are watched by tasks.
fn gate(config: &Config) -> anyhow::Result<Gate> {
    let auth = &config.auth;
    if auth.is_open() {
        return Ok(Gate::open());
    }
    let mut authenticators: Vec<Arc<dyn Authenticator>> = Vec::new();
    if let Some(htpasswd) = &auth.htpasswd {
        let htpasswd = Htpasswd::load(&htpasswd.file).context("auth.htpasswd")?;
        tokio::spawn(htpasswd.watch(POLL));
        authenticators.push(Arc::new(htpasswd));
    }
    let tokens = tokens(auth, &config.hosts, &config.data_dir)?;
    let anonymous = auth.anonymous;
    Ok(Gate::new(
        authenticators,
        policy(auth)?,
        Some(tokens),
        anonymous,
    ))
}

fn policy(auth: &Auth) -> anyhow::Result<Arc<dyn Policy>> {
    let Some(rbac) = &auth.rbac else {
        return Ok(Arc::new(AllowAuthenticated));
    };
    let resource = auth::rbac::Resource {
        group: rbac.group.clone(),
        resource: rbac.resource.clone(),
    };
    let rbac = Rbac::load(&rbac.dir, resource).context("auth.rbac")?;
    tokio::spawn(rbac.watch(POLL));
    Ok(Arc::new(rbac))
}

fn tokens(auth: &Auth, hosts: &[String], data: &Path) -> anyhow::Result<Arc<Tokens>> {
    let default = || data.join("token-keys.pem");
    let path = auth.tokens.key_file.clone().unwrap_or_else(default);
    let services = if hosts.is_empty() {
        vec!["slipway".to_owned()]
    } else {
        hosts.to_vec()
    };
    let tokens = Tokens::load_or_create(&path, services, auth.tokens.lifetime.get())
        .context("auth.tokens.keyFile")?;
    tokio::spawn(tokens.watch(POLL));
    Ok(Arc::new(tokens))
}
