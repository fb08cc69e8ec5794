//! Following a log.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, watch};

use super::{LogLine, LogReader};

/// How far a log is. It changes whenever there is more to read, and once when there will be no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::builds) struct Written {
    pub(in crate::builds) bytes: u64,
    pub(in crate::builds) ended: bool,
}

/// Follows the log of a run until the run has ended.
#[derive(Debug)]
pub struct Follow {
    reader: Arc<Mutex<LogReader>>,
    turns: Arc<Semaphore>,
    at: u64,
    /// `None` if the run has ended before.
    written: Option<watch::Receiver<Written>>,
}

impl Follow {
    pub(in crate::builds) fn new(
        reader: LogReader,
        from: u64,
        written: Option<watch::Receiver<Written>>,
    ) -> Self {
        Self {
            turns: reader.turns(),
            reader: Arc::new(Mutex::new(reader)),
            at: from,
            written,
        }
    }

    /// The next lines, waiting for them; `None` when the run has ended and all was said. Dropping the future loses nothing.
    pub async fn next(&mut self) -> io::Result<Option<Vec<LogLine>>> {
        loop {
            // Looked at before reading, so that what comes in between is seen by the next round.
            let ended = match &mut self.written {
                Some(written) => {
                    let now = *written.borrow_and_update();
                    now.ended
                }
                None => true,
            };
            let lines = self.read().await?;
            if let Some(last) = lines.last() {
                self.at = last.next;
                return Ok(Some(lines));
            }
            if ended {
                return Ok(None);
            }
            if let Some(written) = &mut self.written
                && written.changed().await.is_err()
            {
                self.written = None;
            }
        }
    }

    async fn read(&self) -> io::Result<Vec<LogLine>> {
        let reader = Arc::clone(&self.reader);
        let at = self.at;
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.map_err(io::Error::other)?;
        let read = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
            reader.seek(at);
            reader.read()
        });
        read.await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}
