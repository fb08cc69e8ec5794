//! Repositories that were fetched before, so that the next fetch brings only what is new.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use oci::{Algorithm, Digest};

use super::blocking::blocking;
use super::confinement::User;
use super::process::{size_of, timed_out};
use super::sessions::Sessions;
use super::url::GitUrl;
use crate::pruned::{Failures, Pruned};
use crate::room::Written;
use crate::sandbox::SandboxIds;
use crate::source::Fault;

#[cfg(test)]
mod tests;

/// A folder of bare repositories, one for each namespace and URL: nothing that one namespace fetched is ever read for
/// another.
///
/// Each has two locks beside it, files that stay. Whoever reads or fetches shares the first; who removes the repository
/// holds it alone, and never waits for it. Whoever fetches holds the second alone, and never waits for one while holding
/// another: so runs wait for each other's fetches of one repository, never in a circle. All of it is a cache: any part may
/// go whenever nobody uses it.
#[derive(Clone, Debug)]
pub struct Mirrors {
    root: PathBuf,
    sessions: Sessions,
    /// Counts what is fetched.
    written: Written,
}

/// A repository that stays there until this is dropped.
#[derive(Debug)]
pub(crate) struct Mirror {
    folder: PathBuf,
    /// Whose it is: git's.
    user: User,
    accepted_hosts: PathBuf,
    /// Shared. Its time of change says when the mirror was last used.
    used: File,
    /// Alone, until [`Mirror::fetched`].
    fetching: Option<File>,
}

/// A mirror with more packs than this is made anew: every fetch adds one, and git is slow with many.
const MAX_PACKS: usize = 40;

/// A mirror of more bytes than this is made anew: most of it is of commits that nobody builds any more.
const MAX_BYTES: u64 = 8 << 30;

impl Mirrors {
    /// The folder is made when it is first used. Where this process is root, git runs as a user of the usual range of ids.
    pub fn new(root: PathBuf) -> Self {
        // No namespace's folder: those are called by hashes.
        let sessions = Sessions::new(root.join("sessions"), User::usual());
        Self {
            root,
            sessions,
            written: Written::default(),
        }
    }

    /// Where users inside a build are these outside: git runs as one of them.
    #[must_use]
    pub fn with_ids(self, ids: &SandboxIds) -> Self {
        let sessions = Sessions::new(self.root.join("sessions"), User::of(ids));
        Self { sessions, ..self }
    }

    /// Removes what a server that was killed left of its talks with others, credentials among it. To be called when a server
    /// begins, before anything is fetched.
    pub fn recover(&self) -> io::Result<()> {
        self.sessions.clear()
    }

    /// The same, for one run: what is fetched for it is counted in `written`.
    pub(super) fn for_run(&self, written: &Written) -> Self {
        Self {
            written: written.clone(),
            ..self.clone()
        }
    }

    pub(super) fn written(&self) -> &Written {
        &self.written
    }

    pub(super) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// The cache's folder. Snapshots are written in it too: it has room for sources.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Makes a repository if it is not there, and waits until nobody else fetches into it.
    pub(crate) async fn take(
        &self,
        namespace: &str,
        url: &GitUrl,
        until: Instant,
    ) -> Result<Mirror, Fault> {
        let of_namespace = self.folder_of(namespace);
        let name = hash(&url.to_string());
        let folder = of_namespace.join(format!("{name}.git"));
        let git = self.sessions.user();
        let open = {
            let (of_namespace, folder) = (of_namespace.clone(), folder.clone());
            move || open(&of_namespace, &name, &folder, git).map_err(|error| broken(&error))
        };
        let (used, fetching) = blocking(open).await?;
        wait(|| used.try_lock_shared(), until).await?;
        // For pruning; the file's only content is its time.
        let _ = used.set_modified(SystemTime::now());
        wait(|| fetching.try_lock(), until).await?;
        let mirror = Mirror {
            folder,
            user: git,
            accepted_hosts: accepted_hosts(&of_namespace),
            used,
            fetching: Some(fetching),
        };
        // With its locks, lest another prepares it too where nobody waits for this any more.
        let prepare = move || {
            prepare(&mirror.folder, git).map_err(|error| broken(&error))?;
            Ok(mirror)
        };
        blocking(prepare).await
    }

    /// Where ssh servers' keys are kept that a namespace took at their word.
    pub(crate) async fn accepted_hosts(&self, namespace: &str) -> Result<PathBuf, Fault> {
        let folder = self.folder_of(namespace);
        let make = move || {
            std::fs::create_dir_all(&folder).map_err(|error| broken(&error))?;
            Ok(accepted_hosts(&folder))
        };
        blocking(make).await
    }

    fn folder_of(&self, namespace: &str) -> PathBuf {
        self.root.join(hash(namespace))
    }

    /// Removes a mirror, if nobody uses it; whether it is gone. Blocks.
    pub(crate) fn discard(&self, namespace: &str, url: &GitUrl) -> bool {
        let folder = self.folder_of(namespace);
        let name = hash(&url.to_string());
        let Ok(lock) = File::open(folder.join(format!("{name}.lock"))) else {
            return false;
        };
        is_free(&lock) && std::fs::remove_dir_all(folder.join(format!("{name}.git"))).is_ok()
    }

    /// Removes mirrors, the longest unused first, until all together have at most `most` bytes; and those unused since
    /// `before`. Those in use stay. Gives the bytes that are left. Blocks.
    pub fn prune(&self, most: u64, before: SystemTime) -> Pruned {
        let mut failures = Failures::none();
        let mut found = Vec::new();
        let folders = failures.note(read_dir(&self.root)).unwrap_or_default();
        for namespace in folders.into_iter().filter(|path| path.is_dir()) {
            for file in failures.note(read_dir(&namespace)).unwrap_or_default() {
                if file.extension().is_some_and(|kind| kind == "lock") {
                    let used = std::fs::metadata(&file).and_then(|lock| lock.modified());
                    let folder = file.with_extension("git");
                    let used = failures.note(used);
                    found.extend(used.map(|used| (used, size_of(&folder), file, folder)));
                }
            }
        }
        found.sort();
        let mut left: u64 = found.iter().map(|(_, size, ..)| size).sum();
        // The lock's file stays: who waits for it holds this very file.
        let remove = |lock: &Path, folder: &Path| {
            let is_gone = is_free(&File::open(lock)?) && folder.exists();
            if is_gone {
                std::fs::remove_dir_all(folder)?;
            }
            Ok(is_gone)
        };
        for (used, size, lock, folder) in found {
            if (left > most || used < before) && failures.note(remove(&lock, &folder)) == Some(true)
            {
                left -= size;
            }
        }
        failures.beside(left)
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

    /// What is to be done where a fetch is broken off: it removes what that has left. Until then the mirror stays, and nobody else
    /// fetches into it. Blocks.
    pub(super) fn tidying(&self) -> io::Result<impl FnOnce() + Send + use<>> {
        let shared = self.used.try_clone()?;
        let alone = self.fetching.as_ref().map(File::try_clone).transpose()?;
        let (folder, user) = (self.folder.clone(), self.user);
        Ok(move || {
            // Tried again by whoever fetches next.
            let _ = prepare(&folder, user);
            drop((shared, alone));
        })
    }

    /// Lets others fetch. What is there stays.
    pub(crate) fn fetched(&mut self) {
        self.fetching = None;
    }
}

/// The two locks of a repository. One that had better be made anew is removed, if nobody uses it.
fn open(of_namespace: &Path, name: &str, folder: &Path, git: User) -> io::Result<(File, File)> {
    std::fs::create_dir_all(of_namespace)?;
    let lock = |kind: &str| File::create(of_namespace.join(format!("{name}.{kind}")));
    let (used, fetching) = (lock("lock")?, lock("fetch")?);
    if (is_worn(folder) || is_foreign(folder, git)) && is_free(&used) {
        std::fs::remove_dir_all(folder)?;
        used.unlock()?;
    }
    Ok((used, fetching))
}

/// Makes a repository if it is not there, and removes what a fetch that was killed has left. Nobody else fetches: the lock is ours.
fn prepare(folder: &Path, user: User) -> io::Result<()> {
    let locks = ["shallow.lock", "packed-refs.lock", "config.lock"];
    let locks = locks.map(|lock| folder.join(lock));
    let unfinished = packs(folder).into_iter().filter(|file| {
        let name = file.file_name().unwrap_or_default();
        name.as_encoded_bytes().starts_with(b"tmp_")
    });
    for file in unfinished.chain(locks) {
        let _ = std::fs::remove_file(file);
    }
    if is_whole(folder) {
        return Ok(());
    }
    // Made beside its place: what is there is whole, also if this is killed.
    let new = folder.with_extension("new");
    let _ = std::fs::remove_dir_all(&new);
    let _ = std::fs::remove_dir_all(folder);
    make(&new, user)?;
    std::fs::rename(&new, folder)
}

/// Whether a repository has what [`make`] wrote: after a loss of power there may be files of the right names without their content,
/// because nothing waits until that is on the disk. git makes the configuration longer and leaves `HEAD` as it is.
fn is_whole(folder: &Path) -> bool {
    FILES.iter().all(|(name, text)| {
        let found = std::fs::symlink_metadata(folder.join(name));
        found.is_ok_and(|found| found.is_file() && found.len() >= text.len() as u64)
    })
}

/// What `git init --bare` makes of nothing (gitrepository-layout(5)), and no more: without git, which takes longer to start.
fn make(folder: &Path, user: User) -> io::Result<()> {
    for part in FOLDERS {
        DirBuilder::new().create(folder.join(part))?;
    }
    for (name, text) in FILES {
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .open(folder.join(name))?;
        file.write_all(text.as_bytes())?;
    }
    // From the inside out: nothing is changed below a folder that is no longer ours.
    let files = FILES.iter().map(|(name, _)| name);
    files
        .chain(FOLDERS.iter().rev())
        .try_for_each(|part| user.give(&folder.join(part)))
}

const FOLDERS: &[&str] = &[
    "",
    "objects",
    "objects/info",
    "objects/pack",
    "refs",
    "refs/heads",
    "refs/tags",
];

const FILES: &[(&str, &str)] = &[
    (
        "config",
        "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n",
    ),
    ("HEAD", "ref: refs/heads/none\n"),
];

fn accepted_hosts(of_namespace: &Path) -> PathBuf {
    of_namespace.join("accepted_hosts")
}

/// A name that decides no path.
fn hash(text: &str) -> String {
    Digest::of(Algorithm::Sha256, text.as_bytes()).hex()
}

/// What lies beside a repository's packs, and they. Where git was made to put a link in the place of a folder, nothing is looked at
/// behind it.
pub(super) fn packs(repository: &Path) -> Vec<PathBuf> {
    let folders = ["", "objects", "objects/pack"].map(|part| repository.join(part));
    let is_folder = |path: &PathBuf| std::fs::symlink_metadata(path).is_ok_and(|it| it.is_dir());
    if folders.iter().all(is_folder) {
        read_dir(&folders[2]).unwrap_or_default()
    } else {
        Vec::new()
    }
}

/// Whether a repository had better be made anew.
fn is_worn(folder: &Path) -> bool {
    let files = packs(folder);
    let is_pack = |file: &&PathBuf| file.extension().is_some_and(|kind| kind == "pack");
    files.iter().filter(is_pack).count() > MAX_PACKS || size_of(folder) > MAX_BYTES
}

/// Whether a repository belongs to another user than git is now: of an earlier configuration, or from before git had one.
fn is_foreign(folder: &Path, user: User) -> bool {
    let owner = std::fs::symlink_metadata(folder).map(|found| found.uid());
    matches!((owner, user), (Ok(owner), User::Own(id)) if owner != id)
}

/// Waits for a lock without keeping a thread.
async fn wait(attempt: impl Fn() -> Result<(), TryLockError>, until: Instant) -> Result<(), Fault> {
    loop {
        match attempt() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(broken(&error)),
            Err(TryLockError::WouldBlock) if Instant::now() >= until => return Err(timed_out()),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Until when a lock is tried that nobody need wait for. A process that is being started has a copy of every open file for a
/// moment, and of its lock.
fn soon() -> Instant {
    Instant::now() + Duration::from_millis(50)
}

/// Takes a lock that nobody holds.
fn is_free(lock: &File) -> bool {
    let until = soon();
    while lock.try_lock().is_err() {
        if Instant::now() >= until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}

fn read_dir(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
    }
}

fn broken(error: &io::Error) -> Fault {
    Fault::machine("the cache of repositories", error)
}
