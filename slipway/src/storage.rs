//! Opening what is stored, as the configuration says.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use rustix::fs::{FlockOperation, flock};
use storage::{FsStore, Index, Limits, MemoryStore, ObjectStore, Sparse, SqliteIndex, Storage};

use crate::config::{self, Config};

/// The right to change what is stored; one process has it, until it drops it or dies.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Takes the lock of the data directory.
pub(crate) fn lock(config: &Config) -> anyhow::Result<Lock> {
    std::fs::create_dir_all(&config.data_dir)
        .with_context(|| format!("dataDir: {}", config.data_dir.display()))?;
    let path = config.data_dir.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| path.display().to_string())?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).with_context(|| {
        format!(
            "{}: another slipway uses this data: stop it first",
            path.display()
        )
    })?;
    Ok(Lock { _file: file })
}

/// Opens everything for serving. Whoever calls it holds the lock.
pub(crate) async fn open(config: &Config, _lock: &Lock) -> anyhow::Result<Storage> {
    let limits = Limits {
        max_blob_bytes: config.uploads.max_blob_bytes,
        manifest_cache_bytes: config.limits.manifest_cache_bytes,
        sparse: if config.manifests.sparse {
            Sparse::Allowed
        } else {
            Sparse::Refused
        },
    };
    let storage = Storage::open(objects(config)?, index(config)?, limits).await?;
    Ok(storage)
}

/// The objects.
pub(crate) fn objects(config: &Config) -> anyhow::Result<Arc<dyn ObjectStore>> {
    match config.storage() {
        config::Storage::Memory(_) => Ok(Arc::new(MemoryStore::new())),
        config::Storage::Fs(fs) => {
            let root = fs.root;
            let store = FsStore::open(&root)
                .with_context(|| format!("storage.fs.root: {}", root.display()))?;
            Ok(Arc::new(store))
        }
    }
}

fn index(config: &Config) -> anyhow::Result<Arc<dyn Index>> {
    let index = config.index();
    let in_memory = index.is_in_memory();
    let config::Index::Sqlite(sqlite) = index;
    let index = if in_memory {
        SqliteIndex::in_memory()
    } else {
        SqliteIndex::open(&sqlite.path)
    };
    let index = index.with_context(|| format!("index.sqlite.path: {}", sqlite.path.display()))?;
    Ok(Arc::new(index))
}

/// The objects and the index, to look at them: also while a server works with them.
pub(crate) fn look_at(config: &Config) -> anyhow::Result<(Arc<dyn ObjectStore>, Arc<dyn Index>)> {
    let config::Storage::Fs(fs) = config.storage() else {
        anyhow::bail!("storage.memory: nothing outlives the server");
    };
    let store = FsStore::open_beside_server(&fs.root)
        .with_context(|| format!("storage.fs.root: {}", fs.root.display()))?;
    Ok((Arc::new(store), look_at_index(config)?))
}

/// The index, to look at it.
pub(crate) fn look_at_index(config: &Config) -> anyhow::Result<Arc<dyn Index>> {
    let index = SqliteIndex::open_beside_server(&index_file(config)?)?;
    Ok(Arc::new(index))
}

/// The index's file.
pub(crate) fn index_file(config: &Config) -> anyhow::Result<PathBuf> {
    let index = config.index();
    anyhow::ensure!(
        !index.is_in_memory(),
        "index.sqlite.path: an index in memory does not outlive the server"
    );
    let config::Index::Sqlite(sqlite) = index;
    Ok(sqlite.path)
}
