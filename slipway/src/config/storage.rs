//! `storage` and `index`.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where content is kept.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Storage {
    /// Files in the layout of CNCF Distribution.
    Fs(Fs),
    /// Memory: gone when the server stops.
    Memory(Memory),
}

/// Files.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Fs {
    /// The folder that holds `docker/registry/v2`.
    pub(crate) root: PathBuf,
}

/// Memory has no settings.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Memory {}

/// Where the index is kept.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Index {
    /// One file of this machine.
    Sqlite(Sqlite),
}

/// The path of an index that is in no file.
const IN_MEMORY: &str = ":memory:";

/// `SQLite`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Sqlite {
    /// The database file; `:memory:` for an index that goes with the process.
    pub(crate) path: PathBuf,
}

impl Storage {
    pub(super) fn files_in(data: &Path) -> Self {
        let root = data.join("objects");
        Self::Fs(Fs { root })
    }
}

impl Index {
    pub(super) fn file_in(data: &Path) -> Self {
        let path = data.join("index.db");
        Self::Sqlite(Sqlite { path })
    }

    pub(super) fn in_memory() -> Self {
        let path = PathBuf::from(IN_MEMORY);
        Self::Sqlite(Sqlite { path })
    }

    /// Whether it goes with the process.
    pub(crate) fn is_in_memory(&self) -> bool {
        let Self::Sqlite(sqlite) = self;
        sqlite.path == Path::new(IN_MEMORY)
    }
}
