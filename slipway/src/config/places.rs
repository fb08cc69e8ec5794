//! Folders that need not be there yet.

use std::path::Path;

use super::{Config, Index, Storage};

impl Config {
    /// Whether the folders are there or can be made, as far as can be told without making them.
    pub(crate) fn check_folders(&self) -> anyhow::Result<()> {
        folder("dataDir", &self.data_dir)?;
        if let Storage::Fs(fs) = self.storage() {
            folder("storage.fs.root", &fs.root)?;
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
        folder("index.sqlite.path", file.parent().unwrap_or(&file))
    }
}

fn folder(key: &str, path: &Path) -> anyhow::Result<()> {
    let found = path
        .ancestors()
        .find_map(|ancestor| Some((ancestor, ancestor.metadata().ok()?)));
    match found {
        Some((file, metadata)) if !metadata.is_dir() => {
            anyhow::bail!("{key}: {}: is no folder", file.display())
        }
        _ => Ok(()),
    }
}
