//! What SQLite's errors mean to a caller.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{ErrorCode, ffi};
use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::open::beside;
use crate::StorageError;

/// Why an index cannot be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenIndexError {
    /// The file is damaged or cut.
    #[error(
        "the index {path} is damaged ({what}): stop the server and run `slipway storage reindex`"
    )]
    TornIndex {
        /// The file.
        path: PathBuf,
        /// How.
        what: String,
    },
    /// A newer program wrote it.
    #[error(
        "the index {path} has the form {found}, this program knows up to {known}: use the newer program, or let it \
         serve and stop once and then run `slipway storage reindex --discard-journal` to build the index in the older \
         form"
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// What the file says.
        found: i64,
        /// The newest form that is known.
        known: usize,
    },
    /// It is another program's SQLite file.
    #[error("{path} is a database of another program: name another file, or move it away")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// It does not exist, and was to be looked at only.
    #[error(
        "there is no index {path}: the server makes it when it first starts; if there is content already, run \
         `slipway storage reindex`"
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// It, or its folder, belongs to somebody else.
    #[error(
        "the index cannot be written by user {user}: {path} belongs to user {owner} and group {group}: run slipway as \
         that user, or give it away: chown -R {user} {path}"
    )]
    Forbidden {
        /// The file or folder that may not be written.
        path: PathBuf,
        /// Who we are.
        user: u32,
        /// Whose it is.
        owner: u32,
        /// And of which group.
        group: u32,
    },
    /// The file system refuses.
    #[error("the index {path} cannot be opened")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl OpenIndexError {
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn sql(path: &Path, error: rusqlite::Error) -> Self {
        let path = path.to_owned();
        if is_damage(&error) {
            let what = error.to_string();
            return Self::TornIndex { path, what };
        }
        if let Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) =
            error.sqlite_error_code()
            && let Some(forbidden) = Self::forbidden(&path)
        {
            return forbidden;
        }
        let source = io::Error::other(error);
        Self::Io { path, source }
    }
}

impl OpenIndexError {
    /// What of the file, its folder and what SQLite keeps beside it is there and may not be written.
    fn forbidden(path: &Path) -> Option<Self> {
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        let folder = folder.unwrap_or(Path::new("."));
        let beside = ["-wal", "-shm", "-journal"].map(|suffix| beside(path, suffix));
        let mut places = [path, folder]
            .into_iter()
            .chain(beside.iter().map(PathBuf::as_path));
        places.find_map(|place| {
            let metadata = place.metadata().ok()?;
            let access = accessat(CWD, place, Access::WRITE_OK, AtFlags::EACCESS);
            (access == Err(Errno::ACCESS)).then(|| Self::Forbidden {
                path: place.to_owned(),
                user: geteuid().as_raw(),
                owner: metadata.uid(),
                group: metadata.gid(),
            })
        })
    }
}

/// What an error means to whoever asked.
pub(super) fn meaning(error: rusqlite::Error) -> StorageError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StorageError::Full,
        Some(ErrorCode::ReadOnly) => StorageError::ReadOnly,
        _ if is_damage(&error) => StorageError::Corrupt {
            what: format!("the index ({error}): stop the server and run `slipway storage reindex`"),
        },
        _ => StorageError::Unavailable(Box::new(error)),
    }
}

/// Whether the file says what nobody wrote.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error as E;
    match error {
        E::FromSqlConversionFailure(..)
        | E::IntegralValueOutOfRange(..)
        | E::InvalidColumnType(..)
        | E::Utf8Error(..) => true,
        _ => matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        ),
    }
}

/// Whether a sync failed: what was written before may be lost, and Linux says so only once.
pub(super) fn is_failed_sync(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|e| e.extended_code);
    matches!(
        code,
        Some(ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC)
    )
}
