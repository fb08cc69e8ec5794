//! What is kept and every user of the machine may read: a warning, as folders that are there are their makers'.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::config::{self, Config};
use crate::storage::index_file;

/// Who belongs neither to the owner nor to the group.
const OTHERS: u32 = 0o007;
const OTHERS_PASS: u32 = 0o001;

/// Warns of objects, of an index and of logs that others may read. Where nobody needs a password they may read them anyway.
pub(super) fn warn(config: &Config) {
    if config.auth.is_open() {
        return;
    }
    let objects = match config.storage() {
        config::Storage::Fs(fs) => Some(fs.root),
        config::Storage::Memory(_) => None,
    };
    let logs = config.builder_dir().join("logs");
    let kept = [objects, index_file(config).ok(), Some(logs)];
    let exposed = |path: &PathBuf| is_exposed(path).unwrap_or(false);
    for path in kept.into_iter().flatten().filter(exposed) {
        let folder = match path.starts_with(&config.data_dir) {
            true => &config.data_dir,
            false if path.is_dir() => &path,
            false => path.parent().unwrap_or(&path),
        };
        tracing::warn!(
            "{}: every user of this machine may read it, and so what is private in this registry: chmod 0700 {}",
            path.display(),
            folder.display()
        );
    }
}

/// Whether anybody may go to a file or folder, and read it.
fn is_exposed(path: &Path) -> io::Result<bool> {
    let path = path.canonicalize()?;
    let mode = |path: &Path| Ok::<_, io::Error>(path.metadata()?.permissions().mode());
    for above in path.ancestors().skip(1) {
        if mode(above)? & OTHERS_PASS == 0 {
            return Ok(false);
        }
    }
    Ok(mode(&path)? & OTHERS != 0)
}
