//! Files that appear whole, and disappear.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, linkat};

use super::{Disk, absent, folders, refused};
use crate::{Durability, Key, StoreError};

/// A rename fails when another request has just removed the target's folder as empty. Each try
/// makes it again; so many removals in a row do not happen.
const TRIES: usize = 16;

impl Disk {
    pub(super) fn put(
        &self,
        key: &Key,
        body: &[u8],
        durability: Durability,
    ) -> Result<(), StoreError> {
        self.writable()?;
        let scratch = self.scratch();
        let written = self.write(&scratch, body, durability).and_then(|()| {
            let path = self.path(key);
            self.rename(&scratch, &path, durability)
        });
        if written.is_err() {
            // What cannot be removed now is removed when the store is opened again.
            let _ = fs::remove_file(&scratch);
        }
        written
    }

    /// Gives a file its first name. An error of any kind is no more than a reason to copy it: it is on another disk, had a name
    /// once, or there is no `/proc`. Where it is the disk's fault, the copy says so.
    pub(super) fn adopt(&self, file: &File, staged: &Key) -> Result<bool, StoreError> {
        self.writable()?;
        // By its descriptor alone (`AT_EMPTY_PATH`) only root may.
        let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
        let linked = linkat(
            CWD,
            unnamed,
            CWD,
            self.path(staged),
            AtFlags::SYMLINK_FOLLOW,
        );
        Ok(linked.is_ok())
    }

    /// Moves a staged file, whose bytes are synced already, to its name.
    pub(super) fn publish(&self, staged: &Key, to: &Key) -> Result<(), StoreError> {
        self.writable()?;
        let key = staged;
        let staged = self.path(key);
        fs::symlink_metadata(&staged).map_err(|error| absent(error, key))?;
        self.rename(&staged, &self.path(to), Durability::Now)?;
        if let Some(folder) = staged.parent() {
            self.prune(folder);
        }
        Ok(())
    }

    pub(super) fn delete(&self, key: &Key) -> Result<(), StoreError> {
        self.writable()?;
        let path = self.path(key);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(refused(error)),
            _ => {}
        }
        if let Some(folder) = path.parent() {
            self.prune(folder);
        }
        Ok(())
    }

    fn write(&self, path: &Path, body: &[u8], durability: Durability) -> Result<(), StoreError> {
        let mut file = File::create_new(path).map_err(refused)?;
        file.write_all(body).map_err(refused)?;
        match durability {
            Durability::Now => self.synced_data(file.sync_data()),
            Durability::AtFlush => Ok(()),
        }
    }

    fn rename(&self, from: &Path, to: &Path, durability: Durability) -> Result<(), StoreError> {
        let Some(folder) = to.parent() else {
            let message = "the key has no folder";
            return Err(refused(io::Error::new(
                io::ErrorKind::InvalidInput,
                message,
            )));
        };
        let mut tries = 0;
        loop {
            match folders::make(folder).and_then(|()| fs::rename(from, to)) {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::NotFound && tries < TRIES => {
                    tries += 1;
                }
                Err(error) => return Err(refused(error)),
            }
        }
        match durability {
            Durability::Now => self.sync_up(folder),
            Durability::AtFlush => Ok(()),
        }
    }
}
