//! What is to be run, and with what.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use super::egress::Egress;
use super::gauge::Gauge;

#[cfg(test)]
mod tests;

/// Arguments and environment together, in bytes: the kernel refuses at about 2 MiB, with a worse message.
const MAX_WORDS: usize = 1 << 20;
/// A page cannot hold the names of more, and each is a mount of the kernel's.
const MAX_MOUNTS: usize = 64;

/// One process, described. Nothing here has been looked up in a root yet.
#[derive(Clone, Debug)]
pub struct Process {
    pub(super) arguments: Vec<String>,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) user: String,
    pub(super) folder: PathBuf,
    pub(super) mounts: Vec<Mount>,
    /// What it may use; nothing is limited by default.
    pub limits: Limits,
    /// Where it may connect to; nowhere by default.
    pub egress: Egress,
    /// What root inside may do; nothing by default.
    pub capabilities: Capabilities,
    /// Roots of trust in PEM, for the tools of the build: all of them, as some tools then trust nothing else. They stand for the
    /// stores of the root, too, unless the process is root inside.
    pub certificates: Option<Vec<u8>>,
    /// Shows how much it has written.
    pub gauge: Gauge,
}

impl Process {
    /// Runs `arguments` (the program's path first, no shell) as `user` (as an image's `USER` says it: `uid`, `uid:gid`,
    /// `name`, `name:group`, empty for root) in `folder`, which is made if it is missing. The environment is exactly this one;
    /// without `HOME`, the runtime adds the user's from the image's `/etc/passwd`.
    pub fn new(
        arguments: Vec<String>,
        environment: BTreeMap<String, String>,
        user: &str,
        folder: impl Into<PathBuf>,
    ) -> Result<Self, InvalidProcess> {
        let folder = folder.into();
        if arguments.first().is_none_or(String::is_empty) {
            return Err(InvalidProcess::NoProgram);
        }
        let names = environment.keys();
        if names
            .into_iter()
            .any(|name| name.is_empty() || name.contains('='))
        {
            return Err(InvalidProcess::VariableName);
        }
        let words = || {
            let pairs = environment.iter().flat_map(|(name, value)| [name, value]);
            arguments.iter().chain(pairs)
        };
        if words().any(|word| word.contains('\0')) {
            return Err(InvalidProcess::Nul);
        }
        if words().map(String::len).sum::<usize>() > MAX_WORDS {
            return Err(InvalidProcess::TooLong);
        }
        if !is_plain(&folder) {
            return Err(InvalidProcess::Folder(folder));
        }
        Ok(Self {
            arguments,
            environment,
            user: user.to_owned(),
            folder,
            mounts: Vec::new(),
            limits: Limits::default(),
            egress: Egress::None,
            capabilities: Capabilities::None,
            certificates: None,
            gauge: Gauge::default(),
        })
    }

    /// Adds a mount. Mounts do not contain each other: a mount point inside a cache would be made in the cache.
    pub fn mount(&mut self, mount: Mount) -> Result<(), InvalidProcess> {
        if self.mounts.len() == MAX_MOUNTS {
            return Err(InvalidProcess::TooManyMounts);
        }
        let overlaps = |other: &Mount| overlap(&other.target, &mount.target);
        if let Some(other) = self.mounts.iter().find(|other| overlaps(other)) {
            return Err(InvalidProcess::Overlap(
                mount.target.clone(),
                other.target.clone(),
            ));
        }
        self.mounts.push(mount);
        Ok(())
    }

    /// How many bytes of files it is given in memory, but for those that it may change.
    pub(super) fn in_memory(&self) -> u64 {
        let secret = |mount: &Mount| match &mount.source {
            Source::Secret(secret) => secret.content.len(),
            _ => 0,
        };
        let secrets: usize = self.mounts.iter().map(secret).sum();
        // Java's store is no longer than the bundle.
        let certificates = self.certificates.as_ref().map_or(0, |pem| 2 * pem.len());
        (secrets + certificates) as u64
    }

    /// How many bytes of files it may change in memory.
    pub(super) fn injected(&self) -> u64 {
        let file = |mount: &Mount| match &mount.source {
            Source::Injected(file) => file.content.len() as u64,
            _ => 0,
        };
        self.mounts.iter().map(file).sum()
    }
}

/// Something of the outside at a path inside.
#[derive(Clone, Debug)]
pub struct Mount {
    pub(super) target: PathBuf,
    pub(super) source: Source,
}

impl Mount {
    /// `target` is an absolute path without `..`, outside `/proc`, `/sys` and `/dev`.
    pub fn new(target: impl Into<PathBuf>, source: Source) -> Result<Self, InvalidProcess> {
        let target = target.into();
        if !is_plain(&target) || target == Path::new("/") || is_kernels(&target) {
            return Err(InvalidProcess::Target(target));
        }
        Ok(Self { target, source })
    }
}

/// What is mounted.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file or folder of the host, read only.
    ReadOnly(PathBuf),
    /// A folder of the host that outlives the run. The folder itself (not what is in it) is given to the run's user.
    Cache(PathBuf),
    /// Memory that holds at most so many bytes and counts as the run's.
    Scratch {
        /// Its size.
        bytes: u64,
    },
    /// A file in memory that is gone with the run and never in the root.
    Secret(SecretFile),
    /// The same for the run's user to change: to rewrite, to give another mode or group.
    Injected(SecretFile),
}

/// A file's content that must not be seen. The run's user, and nobody else, may read the file.
#[derive(Clone)]
pub struct SecretFile {
    pub(super) content: Zeroizing<Vec<u8>>,
}

impl SecretFile {
    /// Takes the content over; it is wiped when dropped.
    pub fn new(content: Vec<u8>) -> Self {
        Self {
            content: Zeroizing::new(content),
        }
    }
}

impl fmt::Debug for SecretFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretFile(…)")
    }
}

/// What a run may use at most. A limit that this machine cannot enforce is an error, not a wish.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Memory and swap together, in bytes; less than 32 MiB is raised to it, because the runtime counts.
    pub memory: Option<u64>,
    /// Processor time, in thousandths of a processor; less than 10 is raised to it.
    pub millicpus: Option<u32>,
    /// Processes and threads; less than 32 is raised to it, because the runtime's threads count.
    pub processes: Option<u32>,
    /// Growth of its root and caches, in bytes. No file may be larger; the sum is measured while it runs
    /// (see `disk.rs` for how far it can be overshot).
    pub disk: Option<u64>,
    /// From start to end.
    pub wall: Option<Duration>,
}

/// What root inside the sandbox may do. Nobody else inside has any capability, and nobody can gain one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Capabilities {
    /// Nothing: what `assemble` needs, which installs into folders of its own user.
    #[default]
    None,
    /// What `apt`, `dnf` and `apk` need to unpack packages into the root: owners, modes, other users, `chroot`. It
    /// counts only for files and users of the sandbox.
    Packages,
}

/// Whether a path is absolute and only goes down.
fn is_plain(path: &Path) -> bool {
    let mut components = path.components();
    let absolute = components.next() == Some(Component::RootDir);
    let down = components.all(|component| matches!(component, Component::Normal(_)));
    absolute && down && !path.as_os_str().as_encoded_bytes().contains(&0)
}

/// Whether a path is the kernel's, where nothing of a request has a place.
pub(super) fn is_kernels(path: &Path) -> bool {
    ["/proc", "/sys", "/dev"]
        .iter()
        .any(|kernel| path.starts_with(kernel))
}

/// Whether one path lies in the other.
pub(super) fn overlap(one: &Path, other: &Path) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

/// Why a description is none of a process.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProcess {
    /// Nothing to run.
    #[error("no program to run")]
    NoProgram,
    /// The kernel's words end at one.
    #[error("arguments and environment must not contain NUL")]
    Nul,
    /// Empty, or with `=` in it.
    #[error("a variable's name must not be empty nor contain `=`")]
    VariableName,
    /// More than 1 MiB.
    #[error("arguments and environment are more than 1 MiB")]
    TooLong,
    /// Not absolute, or with `..`.
    #[error("the working folder {0:?} must be absolute, without `..`")]
    Folder(PathBuf),
    /// Not absolute, with `..`, or the kernel's.
    #[error(
        "{0:?} is no place for a mount: give an absolute path without `..`, outside /proc, /sys and /dev"
    )]
    Target(PathBuf),
    /// One lies in the other.
    #[error("mounts {0:?} and {1:?} lie in each other")]
    Overlap(PathBuf, PathBuf),
    /// More than 64.
    #[error("more than 64 mounts")]
    TooManyMounts,
}
