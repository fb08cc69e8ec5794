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
mod pressure;
mod process;
mod scan;
mod secrets;
mod settings;
mod source;
mod stage;
mod work;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{Built, Driver, Failure, Job, Writing};
use crate::pruned::Pruned;
use crate::room::NoRoom;
use crate::rootfs::LayerStore;
use crate::sandbox::{Host, Recovered, SandboxError};

use caches::Caches;
use pressure::Writers;
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
    writers: Writers,
    /// Held by whoever removes what nobody uses.
    removing: Mutex<()>,
    settings: Settings,
}

/// How often free space is asked while runs are at work: what one writes in between must find room in what is kept free.
const TICK: Duration = Duration::from_millis(100);
/// How often while none is: others write to the same disk.
const IDLE: Duration = Duration::from_secs(1);
/// Until it is tried again where the disk itself failed.
const PAUSE: Duration = Duration::from_secs(10);
/// A mirror that nobody used for so long goes, however much room there is.
const MIRRORS_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

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
            let Pruned { kept, failed } = layers.sweep(settings.keep_layers);
            if let Err(error) = failed {
                tracing::warn!(%error, "what builds have left could not be removed");
            }
            layers.settle()?;
            let caches = Caches::open(&settings.caches(), settings.keep_caches)?;
            std::fs::create_dir_all(settings.scratch())?;
            Ok(Machine {
                host,
                layers,
                layer_bytes: AtomicU64::new(kept.kept),
                caches,
                writers: Writers::default(),
                removing: Mutex::default(),
                settings,
            })
        };
        let opened = tokio::task::spawn_blocking(open).await;
        let opened = opened.unwrap_or_else(|error| Err(io::Error::other(error)));
        let machine = opened.map_err(|source| OpenError::Folder { folder, source })?;
        Ok((Self(Arc::new(machine)), recovered))
    }

    /// Removes layers, mirrors and caches beyond what the settings keep, the longest unused first, and syncs what stays: layers and
    /// caches that were not synced since they were written to are gone after a crash of the machine. Runs go on meanwhile.
    pub async fn sweep(&self) -> io::Result<()> {
        let own = Arc::clone(&self.0);
        let swept = tokio::task::spawn_blocking(move || {
            let alone = own.removing.lock().unwrap_or_else(PoisonError::into_inner);
            let layers = own.sweep_layers(own.settings.keep_layers);
            let mirrors = own.prune_mirrors(own.settings.keep_mirrors);
            let caches = own.caches.prune();
            // Who makes room does not wait for what takes long.
            drop(alone);
            let removed = [layers, mirrors, caches].map(|pruned| pruned.failed);
            let settled = [own.layers.settle(), own.caches.settle()];
            // What failed keeps nothing else from being done.
            removed.into_iter().chain(settled).collect()
        });
        swept
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
    }

    /// Sees to it that as much of the disk stays free as is to, until `stop`: with less, layers, mirrors and caches go that nobody uses, and
    /// if that is not enough the run that has written the most is stopped (`Evicted`), then the next.
    pub async fn keep_room(&self, stop: &CancellationToken) {
        let mut pause = IDLE;
        let mut is_told = false;
        while stop
            .run_until_cancelled(tokio::time::sleep(pause))
            .await
            .is_some()
        {
            let (own, runtime) = (Arc::clone(&self.0), Handle::current());
            let relieved = match self.0.lacking() {
                Ok(None) => Ok(false),
                Ok(Some(_)) => {
                    let relieved = tokio::task::spawn_blocking(move || own.relieve(&runtime)).await;
                    relieved.unwrap_or_else(|error| Err(io::Error::other(error)))
                }
                Err(error) => Err(error),
            };
            let is_stuck = matches!(relieved, Ok(true));
            if is_stuck && !is_told {
                tracing::warn!(
                    "less of the disk of builds is free than is kept free (builder.minFreeBytes), and nothing is left that could go: no \
                     run begins until there is room"
                );
            }
            is_told = is_stuck;
            pause = match relieved {
                Ok(false) if !self.0.writers.is_empty() => TICK,
                Ok(_) => IDLE,
                Err(error) => {
                    tracing::warn!(%error, "there may be too little room on the disk of builds");
                    PAUSE
                }
            };
        }
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
    fn sweep_layers(&self, keep: u64) -> Pruned {
        let Pruned { kept, failed } = self.layers.sweep(keep);
        let kept = kept.kept;
        self.layer_bytes.store(kept, Ordering::Relaxed);
        Pruned { kept, failed }
    }

    /// Removes mirrors beyond `keep` bytes, and those that nobody used for long; how many bytes stay.
    fn prune_mirrors(&self, keep: u64) -> Pruned {
        let before = SystemTime::now().checked_sub(MIRRORS_KEPT);
        let before = before.unwrap_or(SystemTime::UNIX_EPOCH);
        self.settings.mirrors.prune(keep, before)
    }

    /// Whether too little of the disk is free.
    fn lacking(&self) -> io::Result<Option<NoRoom>> {
        NoRoom::below(self.settings.unpacking.min_free, &self.settings.folder)
    }

    /// Looks whether there is room on the disk. Where there is not, what nobody uses is removed, as much as is lacking: layers
    /// first, which can be had again from the registry, then mirrors, which take a server elsewhere. `None`: there is room now.
    fn make_room(&self) -> io::Result<Option<NoRoom>> {
        if self.lacking()?.is_none() {
            return Ok(None);
        }
        let _alone = self.removing.lock().unwrap_or_else(PoisonError::into_inner);
        let layers =
            |most: Option<u64>| self.sweep_layers(most.unwrap_or(self.settings.keep_layers));
        let mirrors =
            |most: Option<u64>| self.prune_mirrors(most.unwrap_or(self.settings.keep_mirrors));
        let caches = |most: Option<u64>| match most {
            Some(most) => self.caches.prune_to(most),
            None => self.caches.prune(),
        };
        let removed = [
            self.remove(layers),
            self.remove(mirrors),
            self.remove(caches),
        ];
        match self.lacking()? {
            None => Ok(None),
            lacking => removed
                .into_iter()
                .collect::<io::Result<()>>()
                .map(|()| lacking),
        }
    }

    /// Lets `keep` remove what is too much, then what is lacking, until there is room or nothing goes any more: sizes are of files, and
    /// what those take on the disk may be less.
    fn remove(&self, keep: impl Fn(Option<u64>) -> Pruned) -> io::Result<()> {
        if self.lacking()?.is_none() {
            return Ok(());
        }
        let mut pruned = keep(None);
        while let Some(lacking) = self.lacking()? {
            let kept = pruned.kept;
            pruned = keep(Some(kept.saturating_sub(lacking.missing())));
            if pruned.kept >= kept {
                break;
            }
        }
        pruned.failed
    }
}

#[async_trait]
impl Driver for Runc {
    async fn make_room(&self, run: &Writing) -> Result<(), Failure> {
        let own = Arc::clone(&self.0);
        own.writers.enter(run);
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
        let run = tokio::task::spawn_blocking(move || {
            let done = Work::begin(&machine, job, runtime, cancel).and_then(Work::run);
            // What it left, too, is what nobody uses.
            if let Err(error) = machine.make_room() {
                tracing::warn!(%error, "there may be too little room on the disk of builds");
            }
            done
        });
        let done = run.await;
        done.unwrap_or_else(|error| Err(failure::internal(&error.to_string())))
    }
}
