//! What the store remembers of a layer beside its files.

use std::io::{self, ErrorKind};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::durable;
use super::unpack::Unpacked;
use crate::tree::TreePath;

/// Kept as JSON beside an unpacked layer. Its being there says that the layer is whole.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    /// Bytes of the archive: about what it takes on the disk.
    pub(super) bytes: u64,
    /// Files and directories.
    pub(super) entries: u64,
    /// Whether nothing below it is to be seen.
    pub(super) hides_all: bool,
    /// Directories that the layer has something in and says nothing of. Paths are bytes, which JSON has no text for.
    implicit: Vec<Vec<u8>>,
}

impl Record {
    pub(super) fn of(unpacked: &Unpacked) -> Self {
        let implicit = unpacked.implicit.iter();
        Self {
            bytes: unpacked.bytes,
            entries: unpacked.entries,
            hides_all: unpacked.hides_all,
            implicit: implicit.map(|path| path.as_bytes().to_vec()).collect(),
        }
    }

    /// What was noted of the layer in a folder; `None` if it is not there, or not all of it: a loss of power may leave files without
    /// their content.
    pub(super) fn of_whole(layer: &Path) -> io::Result<Option<Self>> {
        if !durable::is_whole(layer)? {
            return Ok(None);
        }
        match std::fs::read(layer.join(NAME)) {
            Ok(json) => Ok(serde_json::from_slice(&json).ok()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Notes it in the layer's folder.
    pub(super) fn write(&self, layer: &Path) -> io::Result<()> {
        std::fs::write(layer.join(NAME), serde_json::to_vec(self)?)
    }

    pub(super) fn implicit(&self) -> impl Iterator<Item = TreePath> {
        // They were paths when they were written.
        self.implicit
            .iter()
            .filter_map(|path| TreePath::parse(path).ok())
    }
}

const NAME: &str = "record";
