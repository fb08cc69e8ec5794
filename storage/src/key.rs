//! Names of objects.

use std::fmt;
use std::sync::Arc;

/// The name of an object: parts joined by `/`, never empty, `.` or `..`. Only `layout.rs` makes
/// them, out of words that were parsed, so a key can be a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Arc<str>);

/// What a list of keys begins with: whole parts, ending in `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(Arc<str>);

impl Key {
    pub(crate) fn new(path: impl Into<Arc<str>>) -> Self {
        Self(path.into())
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Prefix {
    pub(crate) fn new(path: impl Into<Arc<str>>) -> Self {
        let path = path.into();
        debug_assert!(path.ends_with('/'));
        Self(path)
    }

    /// Its last part.
    pub(crate) fn name(&self) -> &str {
        let path = self.0.strip_suffix('/').unwrap_or(&self.0);
        path.rsplit('/').next().unwrap_or(path)
    }

    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
