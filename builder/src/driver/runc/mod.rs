//! Plans run on this machine, by runc.
//!
//! [`Runc`] unpacks the layers of base images once, stacks them for each stage, places what comes from outside, runs the
//! plan's programs in the [sandbox](crate::sandbox), and makes a layer and a configuration of what the last stage has become.
//!
//! A run works on a thread of its own, which may block; what is asynchronous it waits for there. So all that a run holds (a
//! root file system, locks of layers and caches, unnamed files) is on one stack and ends with it, however it ends. What a
//! killed server leaves in folders is swept by the next [`Runc::open`].

mod artifacts;
mod caches;
mod config;
mod failure;
mod finish;
mod leaks;
mod process;
mod scan;
mod secrets;
mod settings;
mod source;
mod stage;
mod work;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{Built, Driver, Failure, Job};
use crate::room::NoRoom;
use crate::rootfs::LayerStore;
use crate::sandbox::{Host, Recovered, SandboxError};

use caches::Caches;
use work::Work;

pub use settings::Settings;

/// Runs plans with runc on this machine. One process at a time has its folder.
#[derive(Clone, Debug)]
pub struct Runc(Arc<Machine>);

/// What all runs share.
#[derive(Debug)]
struct Machine {
    host: Host,
    layers: LayerStore,
    /// How many bytes they had when they were last counted.
    layer_bytes: AtomicU64,
    caches: Caches,
    settings: Settings,
}

/// Why there is no driver.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The sandbox cannot be had here; see [`crate::sandbox::examine`].
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// A folder cannot be used.
    #[error("the builder's folder {folder}: {source}")]
    Folder {
        /// Which.
        folder: String,
        /// What the system says.
        source: io::Error,
    },
}

impl Runc {
    /// Takes the folder and removes what runs of a server that was killed have left: their processes and cgroups first, then their
    /// mounts and files, half-made layers and caches.
    pub async fn open(settings: Settings) -> Result<(Self, Recovered), OpenError> {
        let (host, recovered) = Host::open(settings.sandbox.clone()).await?;
        let folder = settings.folder.display().to_string();
        let open = move || -> io::Result<Machine> {
            let layers = LayerStore::open(&settings.layers(), host.ids().map().clone())?;
            let kept = layers.sweep(settings.keep_layers)?.kept;
            let caches = Caches::open(&settings.caches(), settings.keep_caches)?;
            std::fs::create_dir_all(settings.scratch())?;
            Ok(Machine {
                host,
                layers,
                layer_bytes: AtomicU64::new(kept),
                caches,
                settings,
            })
        };
        let opened = tokio::task::spawn_blocking(open).await;
        let opened = opened.unwrap_or_else(|error| Err(io::Error::other(error)));
        let machine = opened.map_err(|source| OpenError::Folder { folder, source })?;
        Ok((Self(Arc::new(machine)), recovered))
    }

    /// Removes layers and caches beyond what the settings keep, the longest unused first. Runs go on meanwhile.
    pub async fn sweep(&self) -> io::Result<()> {
        let own = Arc::clone(&self.0);
        let swept = tokio::task::spawn_blocking(move || {
            own.sweep_layers(own.settings.keep_layers)?;
            own.caches.prune().map(drop)
        });
        swept
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
    }

    /// How many bytes unpacked layers have, as of the last sweep.
    pub fn layer_bytes(&self) -> u64 {
        self.0.layer_bytes.load(Ordering::Relaxed)
    }

    /// How many bytes caches have, as of the last sweep or the end of the last run.
    pub fn cache_bytes(&self) -> u64 {
        self.0.caches.bytes()
    }
}

impl Machine {
    /// Removes layers beyond `keep` bytes; how many stay.
    fn sweep_layers(&self, keep: u64) -> io::Result<u64> {
        let kept = self.layers.sweep(keep)?.kept;
        self.layer_bytes.store(kept, Ordering::Relaxed);
        Ok(kept)
    }

    /// Looks whether there is room on the disk. Where there is not, what nobody uses is removed, as much as is lacking: layers
    /// first, which can be had again from the registry. `None`: there is room now.
    fn make_room(&self) -> io::Result<Option<NoRoom>> {
        let look = || NoRoom::below(self.settings.unpacking.min_free, &self.settings.folder);
        let Some(lacking) = look()? else {
            return Ok(None);
        };
        let kept = self.sweep_layers(self.settings.keep_layers)?;
        self.sweep_layers(kept.saturating_sub(lacking.missing()))?;
        let Some(lacking) = look()? else {
            return Ok(None);
        };
        let kept = self.caches.prune()?;
        self.caches
            .prune_to(kept.saturating_sub(lacking.missing()))?;
        look()
    }
}

#[async_trait]
impl Driver for Runc {
    async fn make_room(&self) -> Result<(), Failure> {
        let own = Arc::clone(&self.0);
        let made = tokio::task::spawn_blocking(move || own.make_room()).await;
        match made.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(None) => Ok(()),
            Ok(Some(lacking)) => Err(failure::no_room(&lacking)),
            Err(error) => Err(failure::machine("looking for room on the disk", &error)),
        }
    }

    async fn run(&self, job: Job, cancel: &CancellationToken) -> Result<Built, Failure> {
        // Whoever drops this future cancels the run, whose thread cleans up.
        let cancel = cancel.child_token();
        let _guard = cancel.clone().drop_guard();
        let machine = Arc::clone(&self.0);
        let runtime = Handle::current();
        let run =
            tokio::task::spawn_blocking(move || Work::begin(&machine, job, runtime, cancel)?.run());
        let done = run.await;
        done.unwrap_or_else(|error| Err(failure::internal(&error.to_string())))
    }
}
