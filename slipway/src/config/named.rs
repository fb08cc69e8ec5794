//! Files that the configuration names and that cannot be used.

use std::path::{Path, absolute};

/// An error of the file or folder that `key` names; where a relative path leads to nothing, also where that is. The
/// commonest mistake is to be in another folder than the server's.
pub(crate) fn unusable(key: &str, path: &Path, error: impl Into<anyhow::Error>) -> anyhow::Error {
    let error = error.into().context(key.to_owned());
    match absolute(path) {
        Ok(whole) if path.is_relative() && !whole.exists() => anyhow::anyhow!(
            "{}; looked for as {}: relative paths are relative to the folder in which the program is started",
            crate::told(&error),
            whole.display()
        ),
        _ => error,
    }
}
