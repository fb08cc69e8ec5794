//! Changing an htpasswd file.

use std::path::Path;

use crate::{LoadError, Secret};

/// An htpasswd file to be changed: `slipway user add|passwd|list`.
#[derive(Debug)]
pub struct File {}

impl File {
    /// Reads it; a file that is not there yet is empty.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let _ = path;
        unimplemented!()
    }

    /// User names in the file's order.
    pub fn users(&self) -> impl Iterator<Item = &str> {
        std::iter::empty()
    }

    /// Sets the password of `user`, who may be new. True when new.
    pub fn set_password(&mut self, user: &str, password: &Secret) -> Result<bool, EditError> {
        let _ = (user, password);
        unimplemented!()
    }

    /// Removes `user`; false when there is none.
    pub fn remove(&mut self, user: &str) -> bool {
        let _ = user;
        unimplemented!()
    }

    /// Replaces the file atomically and durably; a new one is for its owner only (0600).
    pub fn save(&self) -> Result<(), LoadError> {
        unimplemented!()
    }
}

/// Why a user cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// No possible user name.
    #[error("invalid user name: {0}")]
    User(&'static str),
    /// No possible password.
    #[error("invalid password: {0}")]
    Password(&'static str),
    /// bcrypt found no random salt.
    #[error("the operating system gave no random bytes")]
    Randomness,
}
