//! The folder of a repository that is the source.

use std::str::FromStr;

/// A folder by its path from the repository's root; the root itself by default. Names without `.` and `..`, joined by
/// `/`: it is looked up in git's trees, where no link can lead elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContextDir(String);

impl ContextDir {
    /// The path, without `/` at either end; empty for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for ContextDir {
    type Err = InvalidContextDir;

    fn from_str(text: &str) -> Result<Self, InvalidContextDir> {
        let names = text.split('/').filter(|name| !matches!(*name, "" | "."));
        let names: Vec<&str> = names.collect();
        let odd = |name: &&str| *name == ".." || name.chars().any(char::is_control);
        if text.len() > 1024 || names.iter().any(odd) {
            return Err(InvalidContextDir);
        }
        Ok(Self(names.join("/")))
    }
}

/// The text is no path within a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a context directory is a path from the repository's root, without .., of at most 1024 bytes"
)]
pub struct InvalidContextDir;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_in_the_repository() {
        for (text, path) in [
            ("", ""),
            (".", ""),
            ("/a//b/", "a/b"),
            ("./a", "a"),
            ("-x", "-x"),
        ] {
            assert_eq!(text.parse::<ContextDir>().unwrap().as_str(), path);
        }
        for text in ["..", "a/../b", "a\nb", "a\0"] {
            assert_eq!(
                text.parse::<ContextDir>(),
                Err(InvalidContextDir),
                "{text:?}"
            );
        }
    }
}
