//! Paths inside a container.

use std::fmt;

use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// An absolute path in an image's file system in its plain form: `/` between names, no `.`, no `..`, no `/` at the end
/// (but for the root itself), no control characters, at most [`ContainerPath::MAX`] bytes.
///
/// It says nothing about links in the image: who opens it resolves it beneath the image's root.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContainerPath(String);

impl ContainerPath {
    /// Longest path: Linux's `PATH_MAX` less its end mark.
    pub const MAX: usize = 4095;

    /// Reads an absolute path; `//`, `/./` and a trailing `/` are taken out, `..` is refused.
    pub fn parse(text: &str) -> Result<Self, InvalidPath> {
        if !text.starts_with('/') {
            return Err(InvalidPath::Relative);
        }
        let mut path = String::with_capacity(text.len());
        push_names(&mut path, text)?;
        Self::checked(path)
    }

    /// This path with a relative one below it.
    pub fn join(&self, below: &str) -> Result<Self, InvalidPath> {
        if below.starts_with('/') {
            return Err(InvalidPath::Absolute);
        }
        let mut path = self.0.trim_end_matches('/').to_owned();
        push_names(&mut path, below)?;
        Self::checked(path)
    }

    /// `text` itself if it is absolute, else below this path: how a process reads it in this working directory.
    pub fn resolve(&self, text: &str) -> Result<Self, InvalidPath> {
        if text.starts_with('/') {
            Self::parse(text)
        } else {
            self.join(text)
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folder that it is in; the root's is itself.
    #[must_use]
    pub fn parent(&self) -> Self {
        let end = self.0.rfind('/').unwrap_or_default();
        Self(self.0[..end.max(1)].to_owned())
    }

    /// Whether it is this one or below it.
    pub fn is_within(&self, folder: &Self) -> bool {
        let rest = self.0.strip_prefix(folder.0.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The last name; empty for the root.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    fn checked(mut path: String) -> Result<Self, InvalidPath> {
        if path.is_empty() {
            path.push('/');
        }
        if path.len() > Self::MAX {
            return Err(InvalidPath::TooLong);
        }
        Ok(Self(path))
    }
}

/// Appends the names of `text`, each with a `/` in front.
fn push_names(path: &mut String, text: &str) -> Result<(), InvalidPath> {
    for name in text.split('/') {
        match name {
            "" | "." => {}
            ".." => return Err(InvalidPath::Parent),
            _ if name.chars().any(char::is_control) => return Err(InvalidPath::Control),
            _ => {
                path.push('/');
                path.push_str(name);
            }
        }
    }
    Ok(())
}

/// Why a text is no path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// It must begin with `/`.
    #[error("the path must be absolute, beginning with /")]
    Relative,
    /// It must not begin with `/`.
    #[error("the path must be relative, not beginning with /")]
    Absolute,
    /// It goes upwards.
    #[error("the path must not contain ..")]
    Parent,
    /// A control character, such as a line's end.
    #[error("the path must not contain control characters")]
    Control,
    /// Longer than [`ContainerPath::MAX`].
    #[error("the path is longer than 4095 bytes")]
    TooLong,
}

impl fmt::Display for ContainerPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for ContainerPath {
    type Error = InvalidPath;

    fn try_from(text: String) -> Result<Self, InvalidPath> {
        Self::parse(&text)
    }
}

impl From<ContainerPath> for String {
    fn from(path: ContainerPath) -> Self {
        path.0
    }
}
