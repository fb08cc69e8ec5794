//! The service of builds upon the parts that the configuration names.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ::builder::builds::{Builds, Parts, Quota, Settings};
use ::builder::driver::runc::{self, OpenError, Runc};
use ::builder::rootfs;
use ::builder::s2i::EnvFilter;
use ::builder::sandbox::{self, enforces_limits};
use ::builder::source::git::{GitFetcher, Mirrors};
use ::builder::triggers::{Moves, Triggers};
use anyhow::Context as _;
use api::hooks::GateOwners;
use registry::Registry;
use tokio_util::sync::CancellationToken;

use super::moves::follow;
use super::{images, ledger, machine, settings};
use crate::config::{Config, Enabled};

/// How often what nobody uses any more is looked for.
const SWEPT_EVERY: Duration = Duration::from_secs(600);

/// Runs builds.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) builds: Builds,
    driver: Runc,
    triggers: Triggers,
    registry: Arc<Registry>,
}

/// The service; `None` where no builds are run. Nothing runs before [`Service::run`].
pub(in crate::wiring) async fn service(
    config: &Config,
    registry: &Arc<Registry>,
) -> anyhow::Result<Option<Service>> {
    if !machine::runs_builds(config).await? {
        return Ok(None);
    }
    let dir = settings::dir(config)?;
    let mirrors = Mirrors::new(dir.join("mirrors")).with_ids(&machine::sandbox(config)?.ids);
    let driver = match driver(config, &dir, mirrors.clone()).await? {
        Ok(driver) => driver,
        Err(error) if config.builder.enabled == Enabled::Auto => {
            let error = anyhow::Error::from(error);
            tracing::warn!("this server runs no builds (builder.enabled: auto): {error:#}");
            return Ok(None);
        }
        Err(error) => return Err(error).context("builder"),
    };
    let scratch = dir.join("scratch");
    std::fs::create_dir_all(&scratch)
        .with_context(|| format!("builder.dir: {}", scratch.display()))?;
    let network = settings::source_network(config)?;
    // Only now: the driver's folder is one server's at a time.
    mirrors
        .recover()
        .with_context(|| format!("builder.dir: {}", dir.display()))?;
    let git = GitFetcher::new(mirrors, network.clone(), settings::source_limits(config));
    let parts = Parts {
        ledger: ledger(registry),
        images: images(config, registry),
        driver: Arc::new(driver.clone()),
        secret_keys: Arc::new(settings::keys(config)?),
        git,
        network,
    };
    let builds = Builds::new(parts, of_builds(config, &dir, scratch)?);
    let owners = Arc::new(GateOwners::new(Arc::clone(registry)));
    Ok(Some(Service {
        triggers: Triggers::new(builds.clone(), owners),
        registry: Arc::clone(registry),
        builds,
        driver,
    }))
}

/// The inner error is the machine's, the outer the configuration's.
async fn driver(
    config: &Config,
    dir: &Path,
    mirrors: Mirrors,
) -> anyhow::Result<Result<Runc, OpenError>> {
    let most = settings::limits(config);
    let settings = runc::Settings {
        keep_layers: config.builder.layers.max_bytes,
        keep_caches: config.builder.cache.max_bytes,
        mirrors,
        keep_mirrors: config.builder.git.mirror_bytes,
        limits: sandbox::Limits {
            memory: most.memory_bytes,
            millicpus: most.cpu_millis,
            processes: most.pids,
            disk: most.disk_bytes,
            wall: most.seconds.map(Duration::from_secs),
        },
        unpacking: rootfs::Limits {
            min_free: config.builder.min_free_bytes,
            ..rootfs::Limits::default()
        },
        output: config.builder.logs.max_bytes,
        registries: settings::registries(config)?,
        addresses: settings::addresses(config),
        certificates: settings::certificates(config)?,
        ..runc::Settings::new(dir.join("runs"), machine::sandbox(config)?)
    };
    let opened = Runc::open(settings).await;
    Ok(opened.map(|(driver, recovered)| {
        tracing::debug!(?recovered, "what an earlier server left of runs is gone");
        driver
    }))
}

fn of_builds(config: &Config, dir: &Path, scratch: std::path::PathBuf) -> anyhow::Result<Settings> {
    let builder = &config.builder;
    Ok(Settings {
        hosts: hosts(config),
        workers: builder.workers,
        namespace_workers: builder.namespace_workers,
        namespace_waiting: builder.namespace_waiting,
        quota: Quota {
            builds: builder.namespace_builds,
            secrets: builder.namespace_secrets,
            builder_images: builder.namespace_builder_images,
            runs: builder.namespace_runs,
        },
        queue_timeout: settings::queue_timeout(config),
        run_timeout: settings::run_timeout(config),
        retention: settings::retention(config),
        kept_at_least: builder.retention.at_least.get(),
        log_bytes: builder.logs.max_bytes,
        limits: settings::limits(config),
        enforces_limits: enforces_limits(),
        usual: settings::defaults(config, enforces_limits()),
        network: builder.network.egress,
        source: settings::source_limits(config),
        compression: settings::compression(config),
        allowed_uids: builder.allowed_uids()?,
        env_filter: EnvFilter::of(builder.forbidden_env.clone()),
        ..Settings::new(dir.join("logs"), scratch)
    })
}

/// The names that clients know this registry by, as they stand before images' names.
fn hosts(config: &Config) -> Vec<String> {
    let listening = config.listen.iter().map(ToString::to_string);
    config.hosts.iter().cloned().chain(listening).collect()
}

impl Service {
    /// What runs plans.
    pub(in crate::wiring) fn driver(&self) -> &Runc {
        &self.driver
    }

    /// Runs builds and clears up after them, until `stop`; returns when all that was at work has come to rest.
    pub(crate) async fn run(self, stop: CancellationToken) {
        // What is being swept is swept first: its thread would hold the process after the server has stopped.
        let ended = stop.clone();
        let sweeping = async {
            while ended
                .run_until_cancelled(tokio::time::sleep(SWEPT_EVERY))
                .await
                .is_some()
            {
                if let Err(error) = self.driver.sweep().await {
                    tracing::warn!(%error, "unused layers, caches and mirrors of builds stay for now");
                }
            }
        };
        tokio::join!(
            self.builds.drive(stop.clone()),
            sweeping,
            self.driver.keep_room(&ended),
            self.follow_triggers(stop)
        );
    }

    /// Starts runs by time and by tags that move, until it is told to stop.
    async fn follow_triggers(&self, stop: CancellationToken) {
        let moves = Moves::default();
        let told = self.registry.storage().catalog.moved_tags();
        let mut drive = std::pin::pin!(self.triggers.drive(&moves, stop));
        tokio::select! {
            () = follow(told, &moves) => drive.await,
            () = &mut drive => {}
        }
    }
}
