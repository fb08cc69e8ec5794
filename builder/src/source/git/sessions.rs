//! Where each use of `git` has its own folder.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::PathBuf;

use tempfile::TempDir;

use super::confinement::User;
use crate::source::Fault;

/// A folder that nobody else can look into, for the folders of sessions: credentials are in them as long as a server is spoken
/// to. They go with their sessions; those of a server that was killed, when the next one begins.
#[derive(Clone, Debug)]
pub(crate) struct Sessions {
    folder: PathBuf,
    user: User,
}

impl Sessions {
    /// The folder is made when it is first used.
    pub(super) fn new(folder: PathBuf, user: User) -> Self {
        Self { folder, user }
    }

    /// Whom git runs as in them.
    pub(super) fn user(&self) -> User {
        self.user
    }

    /// Removes all of it. Nobody may be in a session.
    pub(super) fn clear(&self) -> io::Result<()> {
        match std::fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// A folder for one session, gone when it is dropped.
    pub(super) fn begin(&self) -> Result<TempDir, Fault> {
        let private = || {
            let mut parents = DirBuilder::new();
            parents.recursive(true).mode(0o700).create(&self.folder)?;
            tempfile::Builder::new()
                .prefix("session-")
                .permissions(Permissions::from_mode(0o700))
                .tempdir_in(&self.folder)
        };
        private().map_err(|error| Fault::machine("a temporary folder for git", &error))
    }
}
