//! What this machine offers to runs.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cgroup::{self, Hierarchies};
use super::egress::Upstream;
use super::error::SandboxError;
use super::ids::SandboxIds;
use super::record::{self, Recovered};
use crate::Marks;

mod subids;

pub(super) use subids::check_granted;

/// How runs are set up on this machine.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A folder of the server's own, for what must be found again after a crash. One [`Host`] at a time has it.
    pub state: PathBuf,
    /// Which numbers users inside are outside. All runs have the same: what keeps them apart are their namespaces, and
    /// layers on disk can be shared.
    pub ids: SandboxIds,
    /// The group that runs' cgroups are made in, from the top of each tree.
    pub cgroup: PathBuf,
    /// The runtime: a path, or a name that is looked for in the usual folders.
    pub runtime: PathBuf,
    /// The proxy that connections of runs go through, if the server needs one.
    pub upstream: Option<Upstream>,
}

impl Settings {
    /// What fits whom this process runs as: [`Settings::root`] with `ids`, or [`Settings::nested`], whose ids are given.
    pub fn of_this_process(
        state: impl Into<PathBuf>,
        ids: SandboxIds,
    ) -> Result<Self, SandboxError> {
        if !is_initial()? {
            return Self::nested(state);
        }
        Ok(Self {
            ids,
            ..Self::root(state)?
        })
    }

    /// What a server that runs as root uses: ids from 2³⁰ up, where neither users nor other engines' ranges are.
    pub fn root(state: impl Into<PathBuf>) -> Result<Self, SandboxError> {
        let ids = SandboxIds::range(1 << 30, 1 << 16);
        Ok(Self {
            state: state.into(),
            ids: ids.map_err(|error| SandboxError::Unsupported(error.to_string()))?,
            cgroup: "/slipway".into(),
            runtime: "runc".into(),
            upstream: None,
        })
    }

    /// What a server uses that is root of a user namespace, as [`nested`](super::nested) makes one: the
    /// namespace's ids but its root's, which is the server itself. Control groups are root's outside, so limits of memory,
    /// processor and processes cannot be enforced.
    pub fn nested(state: impl Into<PathBuf>) -> Result<Self, SandboxError> {
        Ok(Self {
            ids: subids::of_namespace()?,
            ..Self::root(state)?
        })
    }
}

/// Whether we are in the user namespace that the machine began with: only there is root the machine's.
pub(super) fn is_initial() -> Result<bool, SandboxError> {
    let marks = Marks::of_this_process();
    let marks = marks.map_err(SandboxError::io("read /proc/self/uid_map"))?;
    Ok(marks == Marks::Trusted)
}

/// This machine, ready for runs.
#[derive(Debug)]
pub struct Host {
    pub(super) settings: Settings,
    pub(super) hierarchies: Hierarchies,
    /// Held, never read.
    _lock: File,
}

impl Host {
    /// For root, if only of a user namespace ([`nested`](super::nested)). Takes the state's folder and removes what is left of runs whose server was killed.
    pub async fn open(settings: Settings) -> Result<(Self, Recovered), SandboxError> {
        if !rustix::process::geteuid().is_root() {
            // Files of an image belong to many users, whom an ordinary one cannot give anything.
            let text = "builds need a server that is root, if only of a user namespace of its own";
            return Err(SandboxError::Unsupported(text.to_owned()));
        }
        let what = || SandboxError::io(format!("open {}", settings.state.display()));
        std::fs::create_dir_all(&settings.state).map_err(what())?;
        let lock = File::create(settings.state.join("lock")).map_err(what())?;
        hold(&lock, &settings.state).await?;
        let recovered = record::recover(&runs(&settings.state)).await?;
        let hierarchies = if is_initial()? {
            Hierarchies::find().map_err(SandboxError::io("find the cgroups"))?
        } else {
            Hierarchies::default()
        };
        cgroup::delegate(&hierarchies, &settings.cgroup)?;
        let host = Self {
            settings,
            hierarchies,
            _lock: lock,
        };
        Ok((host, recovered))
    }

    /// Which numbers users inside are on disk.
    pub fn ids(&self) -> &SandboxIds {
        &self.settings.ids
    }

    pub(super) fn runs(&self) -> PathBuf {
        runs(&self.settings.state)
    }
}

/// Takes the lock, with some patience: one that is ending, or a child of ours on its way to another program, still has it.
async fn hold(lock: &File, state: &Path) -> Result<(), SandboxError> {
    const TRIES: u32 = 100;
    for _ in 0..TRIES {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(TryLockError::Error(error)) => {
                return Err(SandboxError::io(format!("lock {}", state.display()))(error));
            }
        }
    }
    let state = state.display();
    let message = format!("{state} is in use by another server; give each its own");
    Err(SandboxError::Unsupported(message))
}

fn runs(state: &Path) -> PathBuf {
    state.join("runs")
}
