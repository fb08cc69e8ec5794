//! Connections that only read.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::error;
use super::open;
use crate::StorageError;

/// Reads at once, and so connections. What is asked often is in memory already; these are the cold reads.
const READERS: usize = 4;

/// A few connections, opened when they are first needed.
///
/// A read runs on a blocking thread even when it is a single row: the row may be on a slow disk, and a thread of the
/// async runtime that waits for a disk stops every request that it serves.
#[derive(Debug)]
pub(super) struct Readers {
    pool: Arc<Pool>,
}

#[derive(Debug)]
struct Pool {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            pool: Arc::new(Pool {
                path: path.to_owned(),
                idle: Mutex::default(),
                permits: Arc::new(Semaphore::new(READERS)),
            }),
        }
    }

    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StorageError> {
        let pool = Arc::clone(&self.pool);
        // Never closed, so this only fails when the index is gone.
        let permit = Arc::clone(&pool.permits)
            .acquire_owned()
            .await
            .map_err(StorageError::unavailable)?;
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            pool.run(work)
        })
        .await
        .map_err(StorageError::unavailable)?
    }
}

impl Pool {
    fn run<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StorageError> {
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open::reader(&self.path).map_err(error::meaning)?,
        };
        let result = snapshot(&connection, work);
        // A connection that failed may fail again; a new one costs little.
        if result.is_ok() {
            self.idle().push(connection);
        }
        result.map_err(error::meaning)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs all of `work`'s statements on the same state of the index.
fn snapshot<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let transaction = connection.unchecked_transaction()?;
    let found = work(&transaction)?;
    transaction.commit()?;
    Ok(found)
}
