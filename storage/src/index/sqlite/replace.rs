//! A new index in place of an old one.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::open::{beside, has_bytes, log_of};
use super::{OpenIndexError, SqliteIndex};

/// An index that is being built beside the one it will replace.
#[derive(Debug)]
pub struct Rebuilt {
    index: SqliteIndex,
    building: PathBuf,
    path: PathBuf,
}

/// Begins a new index for `path`, beside it. What an earlier attempt left is removed; the index at `path` stays as it
/// is until [`Rebuilt::put_in_place`].
pub fn rebuild(path: &Path) -> Result<Rebuilt, OpenIndexError> {
    let building = beside(path, ".new");
    remove(&building).map_err(|error| OpenIndexError::io(&building, error))?;
    Ok(Rebuilt {
        index: SqliteIndex::building(&building)?,
        building,
        path: path.to_owned(),
    })
}

impl Rebuilt {
    /// The new index.
    pub fn index(&self) -> &SqliteIndex {
        &self.index
    }

    /// Replaces the old index by the new one.
    ///
    /// SQLite ties a log to a file by name only: an old log beside a new file would be played into it. One that was closed
    /// in order has none, and is replaced in one step. Of one that was not, because it is damaged, the file goes first,
    /// then its log, then the new file comes. Stopped anywhere between, there is no index at all, which a server refuses
    /// to start on; never a mixture.
    pub fn put_in_place(self) -> Result<(), OpenIndexError> {
        let Self {
            index,
            building,
            path,
        } = self;
        // Writes what is in memory: the connection is closed.
        drop(index);
        let place = || {
            File::open(&building)?.sync_all()?;
            let old = beside(&path, ".old");
            if logs_of(&path).iter().any(|log| has_bytes(log)) {
                if path.exists() {
                    fs::rename(&path, &old)?;
                }
                remove(&path)?;
            }
            for file in beside_of(&path) {
                remove_file(&file)?;
            }
            // An old log must be gone for good before the new file comes.
            sync_folder(&path)?;
            fs::rename(&building, &path)?;
            remove(&building)?;
            sync_folder(&path)?;
            remove(&old)
        };
        place().map_err(|error| OpenIndexError::io(&path, error))
    }
}

/// Removes an index file and what SQLite keeps beside it.
fn remove(path: &Path) -> io::Result<()> {
    remove_file(path)?;
    beside_of(path)
        .iter()
        .try_for_each(|file| remove_file(file))
}

/// What SQLite would play into a file of this name: what it keeps in WAL mode, and while it makes a new file.
fn logs_of(path: &Path) -> [PathBuf; 2] {
    [log_of(path), beside(path, "-journal")]
}

fn beside_of(path: &Path) -> [PathBuf; 3] {
    let [log, journal] = logs_of(path);
    [log, journal, beside(path, "-shm")]
}

fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}
