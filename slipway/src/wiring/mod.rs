//! From a configuration to a registry behind its front door. The configuration ends here: no
//! other room sees it.

pub(crate) mod builder;
mod doubts;
mod gate;
mod kubernetes;
mod metrics;

use std::sync::Arc;

use anyhow::Context as _;
use auth::kubernetes::PullSecrets;
use registry::http::{AccessLog, Admissions, Format, Front, Hosts, Limits, Observer};
use registry::http::{Recorded, Recorder, Sink, TrustedProxies};
use registry::{IndexedTokens, Registry};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::commands::VERSION;
use crate::config::{Config, Enabled, LogFormat};
use crate::storage::{self, Lock};
use crate::{logging, providers, serve};

/// The registry and its front door.
pub(crate) struct Wired {
    pub(crate) registry: Arc<Registry>,
    pub(crate) front: Arc<Front>,
    /// To be closed before the registry's storage.
    pub(crate) recorder: Arc<Recorder>,
    /// Not yet at work; `None` where no builds are run.
    pub(crate) builder: Option<builder::Service>,
    /// Not yet at work.
    pub(crate) pull_secrets: Option<PullSecrets>,
    /// Held for as long as the registry is.
    pub(crate) _lock: Lock,
}

/// Opens storage, loads rights, and puts the front door before them. `connections` are only counted; what lasts ends when
/// the server is `stopping`.
pub(crate) async fn wire(
    config: &Config,
    connections: &TaskTracker,
    stopping: &CancellationToken,
    sink: Option<Sink>,
) -> anyhow::Result<Wired> {
    let lock = storage::lock(config)?;
    let storage = storage::open(config, &lock).await?;
    let kept = IndexedTokens::new(Arc::clone(storage.index()));
    let guarded = gate::guard(config, kept).await?;
    let registry = Arc::new(Registry::new(storage, guarded.gate));
    let what = Recorded {
        pulls: config.audit.pulls,
        log: config.audit.log,
    };
    let recorder = Recorder::start(registry.storage().audit.clone(), what);
    let recorder = Arc::new(recorder.await.context("the audit record")?);
    let pull_secrets = kubernetes::pull_secrets(config).await?;
    let mut metrics = metrics::metrics(&registry, connections, &recorder);
    for (name, stale) in guarded.files {
        metrics::stale(&mut metrics, name, stale);
    }
    if let Some(cluster) = &guarded.cluster {
        metrics::reviews(&mut metrics, cluster);
    }
    if let Some(id_tokens) = &guarded.id_tokens {
        metrics::id_tokens(&mut metrics, id_tokens);
    }
    if let Some(pull_secrets) = &pull_secrets {
        metrics::pull_secrets(&mut metrics, &pull_secrets.status());
    }
    let builder = builder::service(config, &registry).await?;
    if let Some(service) = &builder {
        metrics::builds(&mut metrics, service);
    }
    let observer = Arc::new(Observer {
        metrics,
        log: AccessLog::start(format(config))?,
        sink,
        audit: Arc::clone(&recorder),
    });
    let mut routes = api::routes(&registry);
    if let Some(service) = &builder {
        let (registry, builds) = (Arc::clone(&registry), service.builds.clone());
        let building = api::builds::Building::new(registry, builds, stopping.clone());
        routes.extend(api::builds::routes(&building));
    }
    let mut rooms =
        api::router(&registry, routes, VERSION).merge(providers::router(&config.auth.oidc)?);
    if let Some(service) = &builder {
        let owners = Arc::new(api::hooks::GateOwners::new(Arc::clone(&registry)));
        let hooks = ::builder::hooks::Hooks::new(service.builds.clone(), owners);
        rooms = rooms.merge(api::hooks::router(&registry, hooks));
    } else {
        rooms = rooms.merge(builder::absent());
    }
    let front = Front::new(Arc::clone(&registry), limits(config), observer, rooms)?;
    let front = Arc::new(front);
    Ok(Wired {
        registry,
        front,
        recorder,
        builder,
        pull_secrets,
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
            others: config.limits.others,
        },
        body_stall: config.limits.body_timeout.get(),
        trusted_proxies: TrustedProxies::new(config.trusted_proxies.clone()),
        hosts: Hosts::new(config.hosts.clone()),
    }
}

/// What `slipway config check` does beyond reading the configuration: loads every file that it
/// names. Makes nothing.
pub(crate) async fn check(config: &Config) -> anyhow::Result<()> {
    logging::filter(&config.log)?;
    if let Some(tls) = &config.tls {
        serve::check_tls(tls)?;
    }
    gate::check(config).await?;
    builder::check(config)?;
    config.check_folders()?;
    match config.builder.enabled {
        // A server that must run builds does not start where it cannot.
        Enabled::Yes => {
            builder::runs_builds(config).await?;
        }
        Enabled::Auto => builder::warn_of_folder(config)?,
        Enabled::No => {}
    }
    Ok(())
}
