//! From a configuration to a registry behind its front door. The configuration ends here: no
//! other room sees it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use auth::kubernetes::{
    AccessReviews, Cluster, Lifetimes, Place, Preset, PullSecrets, TokenReviews, pull_secrets,
};
use auth::oidc::{self, Names};
use auth::opaque::Settings;
use auth::rbac::Resource;
use auth::{
    AllowAuthenticated, Authenticator, Gate, Htpasswd, IdTokens, OpaqueTokens, Policy, Rbac, Tokens,
};
use registry::http::{AccessLog, Admissions, Format, Front, Hosts, Limits, Metrics, Observer};
use registry::http::{Recorded, Recorder, Sink, TrustedProxies};
use registry::{IndexedTokens, Registry};
use tokio_util::task::TaskTracker;

use crate::commands::VERSION;
use crate::config::{self, Auth, Config, LogFormat};
use crate::storage::{self, Lock};
use crate::{logging, providers, serve};

/// How often htpasswd and RBAC files are looked at.
const POLL: Duration = Duration::from_secs(2);

/// The registry and its front door.
pub(crate) struct Wired {
    pub(crate) registry: Arc<Registry>,
    pub(crate) front: Arc<Front>,
    /// To be closed before the registry's storage.
    pub(crate) recorder: Arc<Recorder>,
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
    let kept = IndexedTokens::new(Arc::clone(storage.index()));
    let id_tokens = id_tokens(&config.auth)?.map(Arc::new);
    let (gate, cluster) = gate(config, id_tokens.as_ref()).await?;
    let gate = gate.with_opaque(opaque(config, kept)?);
    let registry = Arc::new(Registry::new(storage, gate));
    let what = Recorded {
        pulls: config.audit.pulls,
        log: config.audit.log,
    };
    let recorder = Recorder::start(registry.storage().audit.clone(), what);
    let recorder = Arc::new(recorder.await.context("the audit record")?);
    let mut metrics = metrics(&registry, connections, &recorder);
    if let Some(cluster) = cluster {
        count_reviews(&mut metrics, cluster);
    }
    if let Some(id_tokens) = &id_tokens {
        watch_id_tokens(&mut metrics, id_tokens);
    }
    let pull_secrets = pull_secrets(config).await?;
    if let Some(pull_secrets) = &pull_secrets {
        watch(&mut metrics, &pull_secrets.status());
    }
    let observer = Arc::new(Observer {
        metrics,
        log: AccessLog::start(format(config))?,
        sink,
        audit: Arc::clone(&recorder),
    });
    let rooms = api::router(&registry, api::routes(&registry), VERSION)
        .merge(providers::router(&config.auth.oidc)?);
    let front = Front::new(Arc::clone(&registry), limits(config), observer, rooms)?;
    let front = Arc::new(front);
    Ok(Wired {
        registry,
        front,
        recorder,
        pull_secrets,
        _lock: lock,
    })
}

fn metrics(
    registry: &Arc<Registry>,
    connections: &TaskTracker,
    recorder: &Arc<Recorder>,
) -> Metrics {
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
    let recorder = Arc::clone(recorder);
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53")]
    metrics.watch(
        "audit_rows_left_out",
        "Refusals and pulls that the audit record only counts, since the start: there were too many",
        move || recorder.left_out() as f64,
    );
    metrics
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53")]
fn count_reviews(metrics: &mut Metrics, cluster: Arc<Cluster>) {
    let of = Arc::clone(&cluster);
    metrics.count(
        "kubernetes_reviews",
        "Questions sent to the Kubernetes API server: whose a token is, and what somebody may do",
        move || of.asked() as f64,
    );
    metrics.count(
        "kubernetes_reviews_unanswered",
        "Those that got no answer, so that the request was refused with 503",
        move || cluster.unanswered() as f64,
    );
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53")]
fn watch(metrics: &mut Metrics, of: &Arc<pull_secrets::Status>) {
    let status = Arc::clone(of);
    metrics.watch(
        "pull_secrets_leading",
        "1 on the server that keeps the pull secrets",
        move || f64::from(u8::from(status.is_leading())),
    );
    let status = Arc::clone(of);
    metrics.watch("pull_secrets", "Pull secrets with a token", move || {
        status.kept() as f64
    });
    let status = Arc::clone(of);
    metrics.watch(
        "pull_secrets_first_expiry_timestamp_seconds",
        "When the first token of a pull secret ends; 0 without any",
        move || status.first_end() as f64,
    );
    let status = Arc::clone(of);
    metrics.count(
        "pull_secrets_renewals",
        "Tokens that were replaced before their end",
        move || status.renewals() as f64,
    );
    let status = Arc::clone(of);
    metrics.count(
        "pull_secrets_failures",
        "Requests to the cluster that failed",
        move || status.failures() as f64,
    );
}

fn watch_id_tokens(metrics: &mut Metrics, id_tokens: &Arc<IdTokens>) {
    let (asked, failed) = (Arc::clone(id_tokens), Arc::clone(id_tokens));
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53")]
    metrics.count(
        "oidc_key_fetches",
        "How often the keys of OpenID Connect providers were asked for since the start",
        move || asked.fetches() as f64,
    );
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53")]
    metrics.count(
        "oidc_key_fetch_failures",
        "How often of these no keys came",
        move || failed.failures() as f64,
    );
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
            others: config.limits.others,
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
        id_tokens(&config.auth)?;
        check_keys(config)?;
    }
    config.check_folders()
}

/// The gate. Must run inside the runtime: files are watched by tasks.
async fn gate(
    config: &Config,
    id_tokens: Option<&Arc<IdTokens>>,
) -> anyhow::Result<(Gate, Option<Arc<Cluster>>)> {
    let auth = &config.auth;
    if auth.is_open() {
        return Ok((Gate::open(), None));
    }
    let mut cluster = None;
    let mut authenticators: Vec<Arc<dyn Authenticator>> = Vec::new();
    // First: it knows what cannot be a password, and such a credential goes on to the cluster.
    if let Some(htpasswd) = htpasswd(auth)? {
        tokio::spawn(htpasswd.watch(POLL));
        authenticators.push(Arc::new(htpasswd));
    }
    // Before the cluster, which takes every token for its own.
    if let Some(id_tokens) = id_tokens {
        tokio::spawn(id_tokens.watch());
        authenticators.push(Arc::clone(id_tokens) as Arc<dyn Authenticator>);
    }
    let policy: Arc<dyn Policy> = if let Some(kubernetes) = &auth.kubernetes {
        let connected = connect(kubernetes).await.context("auth.kubernetes")?;
        let (tokens, rights) = reviews(kubernetes, &connected)?;
        cluster = Some(connected);
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
    let gate = Gate::new(
        authenticators,
        policy,
        Some(Arc::new(tokens)),
        auth.anonymous,
    );
    Ok((gate, cluster))
}

async fn pull_secrets(config: &Config) -> anyhow::Result<Option<PullSecrets>> {
    let (Some(settings), Some(kubernetes)) = (config.pull_secrets()?, &config.auth.kubernetes)
    else {
        return Ok(None);
    };
    let lease = kubernetes.pull_secrets.lease_namespace.as_deref();
    let connected = PullSecrets::connect(&place(kubernetes), lease, settings).await;
    connected.map(Some).context("auth.kubernetes")
}

fn place(settings: &config::Kubernetes) -> Place {
    match &settings.kubeconfig {
        None => Place::InCluster,
        Some(path) => Place::Kubeconfig(path.clone(), settings.context.clone()),
    }
}

async fn connect(settings: &config::Kubernetes) -> anyhow::Result<Arc<Cluster>> {
    let cluster = Cluster::connect(&place(settings), settings.timeout.get()).await?;
    Ok(Arc::new(cluster))
}

fn reviews(
    settings: &config::Kubernetes,
    cluster: &Arc<Cluster>,
) -> anyhow::Result<(TokenReviews, AccessReviews)> {
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
    let tokens = TokenReviews::new(Arc::clone(cluster), audiences, lifetimes)?;
    let rights = AccessReviews::new(Arc::clone(cluster), preset, lifetimes)?;
    Ok((tokens, rights))
}

fn htpasswd(auth: &Auth) -> anyhow::Result<Option<Htpasswd>> {
    let load = |htpasswd: &config::Htpasswd| Htpasswd::load(&htpasswd.file);
    let loaded = auth.htpasswd.as_ref().map(load).transpose();
    loaded.context("auth.htpasswd")
}

fn id_tokens(auth: &Auth) -> anyhow::Result<Option<IdTokens>> {
    if auth.oidc.is_empty() {
        return Ok(None);
    }
    let settings = |oidc: &config::Oidc| {
        let names = Names::new(
            &oidc.issuer,
            &oidc.username_claim,
            oidc.username_prefix.as_deref(),
            oidc.groups_claim.as_deref(),
            oidc.groups_prefix.as_deref(),
            oidc.required_claims.clone(),
        )?;
        Ok(oidc::Settings {
            issuer: oidc.issuer.clone(),
            client_id: oidc.client_id.clone(),
            audiences: oidc.audiences.clone(),
            names,
            algorithms: oidc.algorithms.clone(),
            ca_file: oidc.ca_file.clone(),
        })
    };
    let settings: Result<_, oidc::InvalidIssuer> = auth.oidc.iter().map(settings).collect();
    let made = settings.and_then(IdTokens::new);
    made.map(Some).context("auth.oidc")
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

fn opaque(config: &Config, kept: IndexedTokens) -> anyhow::Result<Arc<OpaqueTokens>> {
    let settings = Settings {
        max_lifetime: config.auth.api_tokens.max_lifetime.get(),
        per_user: config.auth.api_tokens.per_user,
        refresh: config.auth.tokens.refresh_lifetime.get(),
    };
    Ok(Arc::new(OpaqueTokens::new(Arc::new(kept), settings)?))
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
