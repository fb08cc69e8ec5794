//! Changing an htpasswd file.

use std::io;
use std::path::{Path, PathBuf};

use super::hash::MAX_PASSWORD;
use super::users::{Users, check_user, entry};
use crate::replace::replace;
use crate::{LoadError, Secret, TokenId};

#[cfg(test)]
mod tests;

/// Work for a new password: about a quarter of a second, paid once per change of the file and client.
const COST: u32 = 12;

/// An htpasswd file to be changed: `slipway user add|passwd|list`. Comments and the order of lines stay.
pub struct File {
    path: PathBuf,
    before: Option<String>,
    lines: Vec<String>,
}

impl File {
    /// Reads it; a file that is not there yet is empty. Hashes of other kinds are let through, so that they can be
    /// replaced.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let before = content(path)?;
        let lines = before
            .iter()
            .flat_map(|text| text.lines())
            .map(str::to_owned)
            .collect();
        Ok(Self {
            path: path.to_owned(),
            before,
            lines,
        })
    }

    /// User names in the file's order.
    pub fn users(&self) -> impl Iterator<Item = &str> {
        self.lines
            .iter()
            .filter_map(|line| entry(line))
            .map(|(user, _)| user)
    }

    /// Sets the password of `user`, who may be new; true when so.
    pub fn set_password(&mut self, user: &str, password: &Secret) -> Result<bool, EditError> {
        check_user(user).map_err(EditError::User)?;
        match password.expose() {
            "" => return Err(EditError::Password("is empty")),
            text if text.len() > MAX_PASSWORD => {
                return Err(EditError::Password(
                    "is longer than 72 bytes, which is all bcrypt holds",
                ));
            }
            text if TokenId::is_like(text) => {
                return Err(EditError::Password(
                    "looks like an API token (slp_ or slr_ and letters and digits), which is refused as a mistyped one \
                     where passwords are taken",
                ));
            }
            text if text.contains('\0') => return Err(EditError::Password("holds a NUL")),
            _ => {}
        }
        let hash = bcrypt::hash(password.expose(), COST).map_err(|_| EditError::Randomness)?;
        let line = format!("{user}:{hash}");
        if let Some(old) = self.lines.iter_mut().find(|line| is_of(line, user)) {
            *old = line;
            return Ok(false);
        }
        self.lines.push(line);
        Ok(true)
    }

    /// Removes `user`; false when there is none.
    pub fn remove(&mut self, user: &str) -> bool {
        let before = self.lines.len();
        self.lines.retain(|line| !is_of(line, user));
        self.lines.len() < before
    }

    /// Replaces the file atomically and durably. A new one is for its owner only (0600); an old one keeps owner and
    /// group. Refuses when somebody else changed the file since [`File::load`].
    pub fn save(&self) -> Result<(), LoadError> {
        if content(&self.path)? != self.before {
            return Err(LoadError::file(
                &self.path,
                "was changed meanwhile; try again",
            ));
        }
        let mut text = self.lines.join("\n");
        if !text.is_empty() {
            text.push('\n');
        }
        replace(&self.path, text.as_bytes()).map_err(|error| LoadError::io(&self.path, error))
    }
}

fn content(path: &Path) -> Result<Option<String>, LoadError> {
    match Users::read(path) {
        Ok(sources) => Ok(sources.into_iter().next().map(|source| source.text)),
        Err(LoadError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_of(line: &str, user: &str) -> bool {
    entry(line).is_some_and(|(name, _)| name == user)
}

/// Why a user cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// No possible user name.
    #[error("the user name {0}")]
    User(&'static str),
    /// No possible password.
    #[error("the password {0}")]
    Password(&'static str),
    /// bcrypt found no random salt.
    #[error("the operating system gave no random bytes")]
    Randomness,
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.users()).finish()
    }
}
