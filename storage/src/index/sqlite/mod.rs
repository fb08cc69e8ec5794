//! The index in one SQLite file.
//!
//! One thread writes, and commits what has queued up at once (`writer.rs`). Reads go to connections of their own
//! (`reader.rs`), which in WAL mode neither wait for the writer nor make it wait. Every SQL text is in the module of
//! its subject, takes a connection, and knows nothing of threads.

mod audit;
mod blobs;
mod census;
mod column;
mod error;
mod journal;
mod lists;
mod load;
mod manifests;
mod open;
mod reader;
mod records;
mod replace;
mod schema;
mod seam;
mod tokens;
mod uploads;
mod writer;

#[cfg(test)]
mod tests;

use std::path::Path;

use rusqlite::Connection;

use super::{
    Fact, JournalRow, Link, LinkState, ManifestFacts, ManifestRecord, NewManifest, PutOutcome,
    Session, Unlink,
};
use crate::StorageError;
use reader::Readers;
use writer::{Sync, Writer};

pub use error::OpenIndexError;
pub use replace::{Rebuilt, rebuild};

/// The index in one SQLite file. Dropping it closes the file.
#[derive(Debug)]
pub struct SqliteIndex {
    // Before the writer, so that its connections close first and the writer's can tidy up the file.
    readers: Option<Readers>,
    writer: Option<Writer>,
}

impl SqliteIndex {
    /// Opens the file, or makes it. Nothing is scanned: the time does not depend on the size.
    pub fn open(path: &Path) -> Result<Self, OpenIndexError> {
        let writer = Writer::start(open::writer(path)?).map_err(|e| OpenIndexError::io(path, e))?;
        Ok(Self {
            readers: Some(Readers::new(path)),
            writer: Some(writer),
        })
    }

    /// Opens a file to look at it, also while a server works with it. What would change it is refused.
    pub fn open_beside_server(path: &Path) -> Result<Self, OpenIndexError> {
        open::check_beside_server(path)?;
        Ok(Self {
            readers: Some(Readers::new(path)),
            writer: None,
        })
    }

    /// An index in memory; nothing outlives it. Its reads queue with its writes.
    pub fn in_memory() -> Result<Self, OpenIndexError> {
        let path = Path::new(":memory:");
        let writer = Writer::start(open::memory()?).map_err(|e| OpenIndexError::io(path, e))?;
        Ok(Self {
            readers: None,
            writer: Some(writer),
        })
    }

    /// An index that is being built in a file of its own; its reads queue with its writes.
    fn building(path: &Path) -> Result<Self, OpenIndexError> {
        let connection = open::builder(path)?;
        let writer = Writer::start_building(connection).map_err(|e| OpenIndexError::io(path, e))?;
        Ok(Self {
            readers: None,
            writer: Some(writer),
        })
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StorageError> {
        match &self.readers {
            Some(readers) => readers.run(work).await,
            None => self.write(Sync::Soft, work).await,
        }
    }

    async fn write<T: Send + 'static>(
        &self,
        sync: Sync,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StorageError> {
        match &self.writer {
            Some(writer) => writer.run(sync, work).await,
            None => Err(StorageError::ReadOnly),
        }
    }
}
