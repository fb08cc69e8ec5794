//! Paths that stay inside their tree.

use std::fmt;

/// The path of something in a tree of files, from its root: names between slashes, none of them empty, `.` or `..`.
/// The root itself is the empty path. Names are bytes, as Linux has them; most are UTF-8.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreePath(Vec<u8>);

impl TreePath {
    /// Longest path in bytes: what one system call takes (`PATH_MAX` without its NUL).
    pub const MAX: usize = 4095;

    /// The root.
    pub fn root() -> Self {
        Self::default()
    }

    /// Reads a path as archives spell it: slashes in front and empty or `.` elements mean nothing, `..` is refused.
    pub fn parse(text: &[u8]) -> Result<Self, InvalidPath> {
        let mut path = Self::root();
        for name in text.split(|byte| *byte == b'/') {
            if !matches!(name, b"" | b".") {
                path = path.join(name)?;
            }
        }
        Ok(path)
    }

    /// The path of what is called `name` in this directory.
    pub fn join(&self, name: &[u8]) -> Result<Self, InvalidPath> {
        if matches!(name, b"" | b"." | b"..") || name.contains(&b'/') {
            return Err(InvalidPath::Element);
        }
        if name.contains(&0) {
            return Err(InvalidPath::Nul);
        }
        if name.len() > MAX_NAME + WHITEOUT_ROOM || self.0.len() + 1 + name.len() > Self::MAX {
            return Err(InvalidPath::TooLong);
        }
        let mut bytes = Vec::with_capacity(self.0.len() + 1 + name.len());
        bytes.extend_from_slice(&self.0);
        if !bytes.is_empty() {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(name);
        Ok(Self(bytes))
    }

    /// The directory that this is in, and its name there; `None` for the root.
    pub fn split(&self) -> Option<(Self, &[u8])> {
        if self.is_root() {
            return None;
        }
        let slash = self.0.iter().rposition(|byte| *byte == b'/');
        Some(match slash {
            Some(slash) => (Self(self.0[..slash].to_vec()), &self.0[slash + 1..]),
            None => (Self::root(), &self.0),
        })
    }

    /// Whether it is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The names on the way, from the root.
    pub fn names(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        let some = (!self.is_root()).then(|| self.0.split(|byte| *byte == b'/'));
        some.into_iter().flatten()
    }

    /// The bytes, without a slash at either end.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Shown from `/`, with what is no text escaped, so that it can stand in one line of a log.
impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why bytes are no path inside a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// An element that is no name.
    #[error("it has an element '..' or a slash in a name")]
    Element,
    /// A NUL byte.
    #[error("it holds a NUL byte")]
    Nul,
    /// Longer than a file system takes.
    #[error("it is longer than 4095 bytes, or a name in it than 255")]
    TooLong,
}

/// `NAME_MAX` of Linux.
const MAX_NAME: usize = 255;
/// The whiteout of a name of full length is longer than a file could be called.
const WHITEOUT_ROOM: usize = b".wh.".len();
