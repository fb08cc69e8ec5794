//! Repositories that were fetched before, so that the next fetch brings only what is new.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use oci::{Algorithm, Digest};

use super::process::{Allowance, run, size_of, timed_out};
use super::session::Session;
use super::url::GitUrl;
use crate::source::{Fault, FaultClass};

#[cfg(test)]
mod tests;

/// A folder of bare repositories, one for each namespace and URL: nothing that one namespace fetched is ever read for
/// another.
///
/// Each has a lock beside it, held for as long as it is used. All of it is a cache: any part may go whenever nobody
/// holds its lock.
#[derive(Clone, Debug)]
pub struct Mirrors {
    root: PathBuf,
}

/// A repository that is this run's until dropped.
#[derive(Debug)]
pub(crate) struct Mirror {
    folder: PathBuf,
    accepted_hosts: PathBuf,
    /// Locked. Its time of change says when the mirror was last used. `None` if the folder is this run's alone.
    lock: Option<File>,
}

/// A mirror with more packs than this is made anew: every fetch adds one, and git is slow with many.
const MAX_PACKS: usize = 40;

/// A mirror of more bytes than this is made anew: most of it is of commits that nobody builds any more.
const MAX_BYTES: u64 = 8 << 30;

impl Mirrors {
    /// The folder is made when it is first used.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The cache's folder. Snapshots are written in it too: it has room for sources.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Waits for a repository, makes it if it is not there, and takes it.
    pub(crate) async fn take(
        &self,
        namespace: &str,
        url: &GitUrl,
        until: Instant,
    ) -> Result<Mirror, Fault> {
        self.take_within(namespace, url, until, until).await
    }

    /// Waits for the lock until `patience`, then works until `until`.
    async fn take_within(
        &self,
        namespace: &str,
        url: &GitUrl,
        patience: Instant,
        until: Instant,
    ) -> Result<Mirror, Fault> {
        let (of_namespace, name) = self.place(namespace, url)?;
        let lock = lock(&of_namespace.join(format!("{name}.lock")), patience).await?;
        let mirror = Mirror {
            folder: of_namespace.join(format!("{name}.git")),
            accepted_hosts: of_namespace.join("accepted_hosts"),
            lock: Some(lock),
        };
        mirror.prepare(until).await?;
        Ok(mirror)
    }

    /// Takes a repository without waiting: if another run has it, or this one, an empty one that goes when it is dropped.
    /// Who holds one and waits for another could wait for ever.
    pub(crate) async fn take_another(
        &self,
        namespace: &str,
        url: &GitUrl,
        until: Instant,
    ) -> Result<Mirror, Fault> {
        let now = Instant::now();
        match self.take_within(namespace, url, now, until).await {
            Err(fault) if fault.class() == FaultClass::SourceTimedOut && Instant::now() < until => {
            }
            taken => return taken,
        }
        let (of_namespace, _) = self.place(namespace, url)?;
        let own = tempfile::Builder::new()
            .prefix("own-")
            .suffix(".git")
            .tempdir_in(&of_namespace)
            .map_err(|error| broken(&error))?;
        let mirror = Mirror {
            folder: own.keep(),
            accepted_hosts: of_namespace.join("accepted_hosts"),
            lock: None,
        };
        mirror.prepare(until).await?;
        Ok(mirror)
    }

    /// The namespace's folder and the repository's name in it. Hashed: neither decides a path.
    fn place(&self, namespace: &str, url: &GitUrl) -> Result<(PathBuf, String), Fault> {
        let hash = |text: &str| Digest::of(Algorithm::Sha256, text.as_bytes()).hex();
        let of_namespace = self.root.join(hash(namespace));
        std::fs::create_dir_all(&of_namespace).map_err(|error| broken(&error))?;
        Ok((of_namespace, hash(&url.to_string())))
    }

    /// Removes mirrors, the longest unused first, until all together have at most `most` bytes; and those unused since
    /// `before`. Those in use stay. Gives the bytes that are left. Blocks.
    pub fn prune(&self, most: u64, before: SystemTime) -> std::io::Result<u64> {
        let mut found = Vec::new();
        for namespace in read_dir(&self.root)? {
            for file in read_dir(&namespace)? {
                let name = file.file_name().unwrap_or_default().as_encoded_bytes();
                let changed = || std::fs::metadata(&file)?.modified();
                // Another process's, of a run that was killed.
                if name.starts_with(b"own-") && changed()? < before {
                    std::fs::remove_dir_all(&file)?;
                }
                if file.extension().is_some_and(|kind| kind == "lock") {
                    let used = std::fs::metadata(&file)?.modified()?;
                    let folder = file.with_extension("git");
                    found.push((used, size_of(&folder), file, folder));
                }
            }
        }
        found.sort();
        let mut left: u64 = found.iter().map(|(_, size, ..)| size).sum();
        for (used, size, lock, folder) in found {
            if left <= most && used >= before {
                continue;
            }
            let lock = File::open(&lock)?;
            // The lock's file stays: who waits for it holds this very file.
            if is_free(&lock) && folder.exists() {
                std::fs::remove_dir_all(&folder)?;
                left -= size;
            }
        }
        Ok(left)
    }
}

impl Mirror {
    /// The bare repository.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where ssh servers' keys are kept that were taken at their word.
    pub(crate) fn accepted_hosts(&self) -> &Path {
        &self.accepted_hosts
    }

    async fn prepare(&self, until: Instant) -> Result<(), Fault> {
        let files = read_dir(&self.folder.join("objects/pack")).unwrap_or_default();
        let is_pack = |file: &&PathBuf| file.extension().is_some_and(|kind| kind == "pack");
        if files.iter().filter(is_pack).count() > MAX_PACKS || size_of(&self.folder) > MAX_BYTES {
            std::fs::remove_dir_all(&self.folder).map_err(|error| broken(&error))?;
        }
        // What a fetch that was killed leaves. Nobody else is at work here: the lock is ours.
        let locks = ["shallow.lock", "packed-refs.lock", "config.lock"];
        let locks = locks.map(|lock| self.folder.join(lock));
        let unfinished = files.into_iter().filter(|file| {
            let name = file.file_name().unwrap_or_default();
            name.as_encoded_bytes().starts_with(b"tmp_")
        });
        for file in unfinished.chain(locks) {
            let _ = std::fs::remove_file(file);
        }
        if self.folder.join("HEAD").exists() {
            return Ok(());
        }
        // Made beside its place: what is there is whole, also if this is killed.
        let new = self.folder.with_extension("new");
        let _ = std::fs::remove_dir_all(&new);
        let _ = std::fs::remove_dir_all(&self.folder);
        let folder = new.display().to_string();
        let allowance = Allowance {
            until,
            output: 4096,
            disk: None,
        };
        let session = Session::local()?;
        let arguments = ["init", "--quiet", "--bare", "--template=", "--", &folder];
        let ended = run(&session, &new, &arguments, b"", allowance).await?;
        if ended.success {
            return std::fs::rename(&new, &self.folder).map_err(|error| broken(&error));
        }
        Err(Fault::new(
            FaultClass::Machine,
            format!("git cannot make a repository: {}", ended.printed),
        ))
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        if self.lock.is_none() {
            // What stays behind is found by its name when the cache is pruned.
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// Waits for a lock without keeping a thread.
async fn lock(path: &Path, until: Instant) -> Result<File, Fault> {
    let file = File::create(path).map_err(|error| broken(&error))?;
    loop {
        match file.try_lock() {
            Ok(()) => {
                // For pruning; the file's only content is its time.
                let _ = file.set_modified(SystemTime::now());
                return Ok(file);
            }
            Err(std::fs::TryLockError::Error(error)) => return Err(broken(&error)),
            Err(std::fs::TryLockError::WouldBlock) if Instant::now() >= until => {
                return Err(timed_out());
            }
            Err(std::fs::TryLockError::WouldBlock) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

/// Takes a lock that nobody holds. A process that is being started has a copy of every open file for a moment, and of its
/// lock.
fn is_free(lock: &File) -> bool {
    (0..20).any(|_| {
        let free = lock.try_lock().is_ok();
        if !free {
            std::thread::sleep(Duration::from_millis(2));
        }
        free
    })
}

fn read_dir(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
    }
}

fn broken(error: &std::io::Error) -> Fault {
    Fault::machine("the cache of repositories", error)
}
