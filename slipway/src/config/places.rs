//! Files and folders that the server works with. They need not be there yet.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustix::fs::Access;
use storage::FsStore;

use super::{Config, Enabled, Index, Storage};
use crate::ownership::check_access;

const FOLDER: Access = Access::READ_OK
    .union(Access::WRITE_OK)
    .union(Access::EXEC_OK);
const FILE: Access = Access::READ_OK.union(Access::WRITE_OK);

impl Config {
    /// Whether the folders are there or can be made, and this user may write what is there, as far as can be told without
    /// leaving anything behind.
    pub(crate) fn check_folders(&self) -> anyhow::Result<()> {
        folder("dataDir", &self.data_dir)?;
        present("dataDir", &self.data_dir.join("lock"))?;
        if let Storage::Fs(fs) = self.storage() {
            folder("storage.fs.root", &fs.root)?;
            for place in FsStore::own(&fs.root) {
                present("storage.fs.root", &place)?;
            }
            let content = FsStore::content(&fs.root);
            let above = content.ancestors().take_while(|above| *above != fs.root);
            let below = ["blobs", "repositories"].map(|name| content.join(name));
            for place in above.chain(below.iter().map(PathBuf::as_path)) {
                present("storage.fs.root", place)?;
            }
        }
        if self.builder.enabled != Enabled::No {
            folder("builder.dir", &self.builder_dir())?;
        }
        let index = self.index();
        if index.is_in_memory() {
            return Ok(());
        }
        let Index::Sqlite(sqlite) = index;
        let file = sqlite.path;
        anyhow::ensure!(
            !file.is_dir(),
            "index.sqlite.path: {}: is a folder, not a file",
            file.display()
        );
        folder("index.sqlite.path", file.parent().unwrap_or(&file))?;
        for suffix in ["", "-wal", "-shm", ".lock"] {
            let mut beside = file.clone().into_os_string();
            beside.push(suffix);
            present("index.sqlite.path", Path::new(&beside))?;
        }
        Ok(())
    }
}

/// What is there must be ours to change.
fn present(key: &'static str, path: &Path) -> anyhow::Result<()> {
    let Ok(metadata) = path.metadata() else {
        return Ok(());
    };
    let access = if metadata.is_dir() { FOLDER } else { FILE };
    check_access(path, access).context(key)
}

/// The folder, or else the first one above it that is there, in which it would be made.
fn folder(key: &'static str, path: &Path) -> anyhow::Result<()> {
    let here = |path: &Path| {
        let is_here = path.as_os_str().is_empty();
        if is_here { Path::new(".") } else { path }.to_owned()
    };
    let found = path.ancestors().map(here).find_map(|ancestor| {
        let metadata = ancestor.metadata().ok()?;
        Some((ancestor, metadata))
    });
    let Some((found, metadata)) = found else {
        return Ok(());
    };
    anyhow::ensure!(
        metadata.is_dir(),
        "{key}: {}: is no folder",
        found.display()
    );
    check_access(&found, FOLDER).context(key)?;
    // Some folders may be written by their mode, and take no files: those of the kernel, and of a disk that is read only.
    // The file has no name, or loses it at once.
    let made = tempfile::tempfile_in(&found);
    made.map(drop)
        .with_context(|| format!("{key}: nothing can be made in {}", found.display()))
}
