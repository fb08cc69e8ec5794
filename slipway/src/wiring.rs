//! From a configuration to a registry behind its front door. The configuration ends here: no
//! other room sees it.

mod pull_secrets;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use auth::kubernetes::{AccessReviews, Cluster, Lifetimes, Preset, PullSecrets, TokenReviews};
use auth::rbac::Resource;
use auth::{AllowAuthenticated, Authenticator, Gate, Htpasswd, Policy, Rbac, Tokens};
use registry::Registry;
use registry::http::{AccessLog, Admissions, Format, Front, Hosts, Limits, Metrics, Observer};
use registry::http::{Sink, TrustedProxies};
use tokio_util::task::TaskTracker;

use crate::commands::VERSION;
use crate::config::{self, Auth, Config, LogFormat};
use crate::storage::{self, Lock};
use crate::{logging, serve};

/// How often htpasswd and RBAC files are looked at.
const POLL: Duration = Duration::from_secs(2);

/// The registry and its front door.
pub(crate) struct Wired {
    pub(crate) registry: Arc<Registry>,
    pub(crate) front: Arc<Front>,
    /// Not yet at work.
    pub(crate) pull_secrets: Option<PullSecrets>,
    /// Held for as long as the registry is.
    pub(crate) _lock: Lock,
}

/// Opens storage, loads rights, and puts the front door before them. `connections` are only counted.
pub(crate) async fn wire(
    config: &Config,
    connections: &TaskTracker,
    sink: Option<Sink>,
) -> anyhow::Result<Wired> {
    let lock = storage::lock(config)?;
    let storage = storage::open(config, &lock).await?;
    let registry = Arc::new(Registry::new(storage, gate(config).await?));
    let mut metrics = metrics(&registry, connections);
    let pull_secrets = pull_secrets::connect(config, &mut metrics).await?;
    let observer = Arc::new(Observer {
        metrics,
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
        pull_secrets,
        _lock: lock,
    })
}

fn metrics(registry: &Arc<Registry>, connections: &TaskTracker) -> Metrics {
    let mut metrics = Metrics::new(VERSION);
    let connections = connections.clone();
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53")]
    metrics.watch("connections", "Open connections", move || {
        connections.len() as f64
    });
    let registry = Arc::clone(registry);
    metrics.watch(
        "storage_takes_writes",
        "1 until a sync fails; then content is served and writes are refused until a restart",
        move || f64::from(u8::from(registry.storage().takes_writes())),
    );
    metrics
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

/// What `slipway config check` does beyond reading the configuration: loads every file that it
/// names. Makes nothing.
pub(crate) fn check(config: &Config) -> anyhow::Result<()> {
    logging::filter(&config.log)?;
    if let Some(tls) = &config.tls {
        serve::check_tls(tls)?;
    }
    if !config.auth.is_open() {
        htpasswd(&config.auth)?;
        rbac(&config.auth)?;
        check_keys(config)?;
    }
    config.check_folders()
}

/// The gate. Must run inside the runtime: files are watched by tasks.
async fn gate(config: &Config) -> anyhow::Result<Gate> {
    let auth = &config.auth;
    if auth.is_open() {
        return Ok(Gate::open());
    }
    let mut authenticators: Vec<Arc<dyn Authenticator>> = Vec::new();
    // First: it knows what cannot be a password, and such a credential goes on to the cluster.
    if let Some(htpasswd) = htpasswd(auth)? {
        tokio::spawn(htpasswd.watch(POLL));
        authenticators.push(Arc::new(htpasswd));
    }
    let policy: Arc<dyn Policy> = if let Some(kubernetes) = &auth.kubernetes {
        let (tokens, rights) = cluster(kubernetes).await.context("auth.kubernetes")?;
        authenticators.push(Arc::new(tokens));
        Arc::new(rights)
    } else if let Some(rbac) = rbac(auth)? {
        tokio::spawn(rbac.watch(POLL));
        Arc::new(rbac)
    } else {
        Arc::new(AllowAuthenticated)
    };
    let tokens = tokens(config)?;
    tokio::spawn(tokens.watch(POLL));
    Ok(Gate::new(
        authenticators,
        policy,
        Some(Arc::new(tokens)),
        auth.anonymous,
    ))
}

async fn cluster(settings: &config::Kubernetes) -> anyhow::Result<(TokenReviews, AccessReviews)> {
    let cluster = Cluster::connect(&settings.place(), settings.timeout.get()).await?;
    let cluster = Arc::new(cluster);
    let preset = match settings.preset {
        config::Preset::Openshift => Preset::Openshift,
        config::Preset::Acp => Preset::Resource(Resource {
            group: settings.group.clone(),
            resource: settings.resource.clone(),
        }),
    };
    let lifetimes = Lifetimes {
        allow: settings.allow_for.get(),
        deny: settings.deny_for.get(),
    };
    let audiences = settings.audiences.clone();
    let tokens = TokenReviews::new(Arc::clone(&cluster), audiences, lifetimes)?;
    Ok((tokens, AccessReviews::new(cluster, preset, lifetimes)?))
}

fn htpasswd(auth: &Auth) -> anyhow::Result<Option<Htpasswd>> {
    let load = |htpasswd: &config::Htpasswd| Htpasswd::load(&htpasswd.file);
    let loaded = auth.htpasswd.as_ref().map(load).transpose();
    loaded.context("auth.htpasswd")
}

fn rbac(auth: &Auth) -> anyhow::Result<Option<Rbac>> {
    let load = |rbac: &config::Rbac| {
        let resource = Resource {
            group: rbac.group.clone(),
            resource: rbac.resource.clone(),
        };
        Rbac::load(&rbac.dir, resource)
    };
    let loaded = auth.rbac.as_ref().map(load).transpose();
    loaded.context("auth.rbac")
}

fn tokens(config: &Config) -> anyhow::Result<Tokens> {
    let services = config.hosts.clone();
    let lifetime = config.auth.tokens.lifetime.get();
    Tokens::load_or_create(&config.token_keys(), services, lifetime).context("auth.tokens.keyFile")
}

/// Whether the keys can be loaded or, if there are none, made.
fn check_keys(config: &Config) -> anyhow::Result<()> {
    let path = config.token_keys();
    if Tokens::check(&path).context("auth.tokens.keyFile")? {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(&path);
    // The server makes `dataDir`, and no other.
    anyhow::ensure!(
        folder.as_os_str().is_empty() || folder.is_dir() || folder == config.data_dir,
        "auth.tokens.keyFile: {}: no such folder to make it in",
        folder.display()
    );
    Ok(())
}
