//! Opening what is stored, as the configuration says.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use storage::{
    FileLock, FsStore, Index, Limits, MemoryStore, ObjectStore, Sparse, SqliteIndex, Storage,
    check_indexed, make_durably,
};

use crate::config::{self, Config};
use crate::ownership;

/// The right to change what is stored; one process has it, until it drops it or dies.
///
/// The objects are locked by who opens them. Each has a lock of its own, for two configurations may share any of them.
#[derive(Debug)]
pub(crate) struct Lock {
    _data: FileLock,
    _index: Option<FileLock>,
}

/// Takes the locks of the data directory and of the index.
pub(crate) fn lock(config: &Config) -> anyhow::Result<Lock> {
    make_durably(&config.data_dir).context("dataDir")?;
    let data = FileLock::take(&config.data_dir.join("lock")).context("dataDir")?;
    let index = if config.index().is_in_memory() {
        None
    } else {
        let file = index_file(config)?;
        if let Some(folder) = file.parent() {
            make_durably(folder).context("index.sqlite.path")?;
        }
        Some(FileLock::take(&lock_of(&file)).context("index.sqlite.path")?)
    };
    Ok(Lock {
        _data: data,
        _index: index,
    })
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
    let objects = objects(config)?;
    // Before the file of an index is made that knows nothing.
    if is_missing(config) {
        check_indexed(&objects, None).await?;
    }
    let storage = Storage::open(objects, index(config)?, limits).await?;
    Ok(storage)
}

/// What an administrator's command makes for the server. It is to belong to whom the objects belong.
#[derive(Debug)]
pub(crate) struct Made {
    root: PathBuf,
    files: Vec<PathBuf>,
}

impl Made {
    /// To be asked before anything is made: of folders, only those that are missing now will have been made.
    pub(crate) fn of(config: &Config) -> anyhow::Result<Self> {
        let config::Storage::Fs(fs) = config.storage() else {
            anyhow::bail!("storage.memory: nothing outlives the server");
        };
        let index = index_file(config)?;
        let folders = [Some(&*config.data_dir), index.parent()];
        let missing = folders.into_iter().flatten().flat_map(|folder| {
            let is_missing = |at: &&Path| !at.as_os_str().is_empty() && !at.exists();
            folder.ancestors().take_while(is_missing)
        });
        let mut files: Vec<_> = missing.map(Path::to_owned).collect();
        files.extend([config.data_dir.join("lock"), lock_of(&index), index]);
        files.extend(FsStore::own(&fs.root));
        Ok(Self {
            root: fs.root,
            files,
        })
    }

    /// Gives it to the owner of the objects, if it is root's.
    pub(crate) fn give_away(&self) -> anyhow::Result<()> {
        ownership::give_to_owner_of(&self.root, &self.files)
    }
}

/// Beside the index, not the index itself, which `reindex` replaces; and beside it also when it is reached by a link.
fn lock_of(index: &Path) -> PathBuf {
    let index = index.canonicalize().unwrap_or_else(|_| index.to_owned());
    let mut beside = index.into_os_string();
    beside.push(".lock");
    beside.into()
}

/// The index has no file yet.
fn is_missing(config: &Config) -> bool {
    index_file(config).is_ok_and(|file| matches!(file.try_exists(), Ok(false)))
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

/// Fails where there is no content to build an index from. Makes nothing: a wrong path is a foreign folder, or none.
pub(crate) fn check_content(config: &Config) -> anyhow::Result<()> {
    let config::Storage::Fs(fs) = config.storage() else {
        anyhow::bail!("storage.memory: nothing outlives the server");
    };
    let content = FsStore::content(&fs.root);
    let why = match content.metadata() {
        Ok(metadata) if metadata.is_dir() => return Ok(()),
        Ok(_) => "it is no folder".to_owned(),
        Err(error) => error.to_string(),
    };
    // Somebody may have named a folder within.
    let above = fs.root.canonicalize().unwrap_or_default();
    let meant = above
        .ancestors()
        .skip(1)
        .find(|above| FsStore::content(above).is_dir());
    let advice = match meant {
        Some(above) => above.display().to_string(),
        None => "the folder that holds docker/registry/v2".to_owned(),
    };
    let key = match config.storage {
        Some(_) => "storage.fs.root",
        None => "storage.fs.root (or dataDir, in which objects/ is)",
    };
    anyhow::bail!(
        "{}: there is no content to index ({why}): set {key} to {advice}",
        content.display()
    )
}

/// The objects and the index, to look at them: also while a server works with them. An index that knows nothing of the
/// objects is an error, for what it says is wrong.
pub(crate) async fn look_at(
    config: &Config,
) -> anyhow::Result<(Arc<dyn ObjectStore>, Arc<dyn Index>)> {
    let config::Storage::Fs(fs) = config.storage() else {
        anyhow::bail!("storage.memory: nothing outlives the server");
    };
    let store = FsStore::open_beside_server(&fs.root)
        .with_context(|| format!("storage.fs.root: {}", fs.root.display()))?;
    let store: Arc<dyn ObjectStore> = Arc::new(store);
    let index: Arc<dyn Index> = Arc::new(SqliteIndex::open_beside_server(&index_file(config)?)?);
    check_indexed(&store, Some(&index)).await?;
    Ok((store, index))
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
