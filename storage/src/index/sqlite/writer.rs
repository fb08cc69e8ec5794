//! The one thread that writes.
//!
//! It takes what has queued up while it was at the disk, runs all of it in one transaction, each in a savepoint of its
//! own, commits once, and then answers everybody. So the cost of a sync is shared by those who wait for it, and under
//! load the syncs per second stay the same while the pushes per second grow.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;

use super::error::{self, is_failed_sync};
use crate::StorageError;
use crate::fuse::Fuse;

/// Most that are committed together, so that nobody waits for a long queue's work before the sync begins.
const BATCH: usize = 256;
/// Rows changed until the log is moved into the file: about 1,000 to 4,000 pages of 4 KiB.
const CHECKPOINT_EVERY: u64 = 2_000;

/// Whether a change must be on disk before it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sync {
    /// It must.
    Durable,
    /// It survives this process in any case; a loss of power may take it if nothing durable came after it.
    Soft,
}

/// The way to the thread. Dropping it lets the thread finish what has queued up, and waits for that.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    fuse: Fuse,
}

struct Job {
    sync: Sync,
    run: Work,
}

/// Without a connection it does not run and will be refused.
type Work = Box<dyn FnOnce(Option<&Connection>) -> Done + Send>;

/// A job that has run, or has not: whom to tell, and why it failed if it did.
struct Done {
    failure: Option<Refusal>,
    answer: Answer,
}

/// Sends the job's own result, or why it was not committed.
type Answer = Box<dyn FnOnce(Option<Refusal>) + Send>;

/// Why a whole batch was not committed.
#[derive(Debug, Clone)]
enum Refusal {
    Full,
    /// A sync failed: what was written before may be lost.
    Unsynced,
    Failed(String),
}

impl Refusal {
    fn of(error: &rusqlite::Error) -> Self {
        if is_failed_sync(error) {
            Self::Unsynced
        } else if error.sqlite_error_code() == Some(ErrorCode::DiskFull) {
            Self::Full
        } else {
            Self::Failed(error.to_string())
        }
    }
}

impl From<Refusal> for StorageError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Full => Self::Full,
            Refusal::Unsynced => Self::ReadOnly,
            Refusal::Failed(why) => Self::unavailable(format!("not committed: {why}")),
        }
    }
}

impl Writer {
    pub(super) fn start(connection: Connection) -> io::Result<Self> {
        Self::start_with(Turn::new(connection, true))
    }

    /// For a file that nobody else looks at: nothing is synced, and only what is durable is committed, with all that
    /// came before it.
    pub(super) fn start_building(connection: Connection) -> io::Result<Self> {
        Self::start_with(Turn::new(connection, false))
    }

    fn start_with(turn: Turn) -> io::Result<Self> {
        let (jobs, queue) = channel();
        let fuse = turn.fuse.clone();
        let thread = thread::Builder::new()
            .name("index".to_owned())
            .spawn(move || turn.serve(&queue))?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
            fuse,
        })
    }

    pub(super) fn takes_writes(&self) -> bool {
        let is_over = self.thread.as_ref().is_none_or(JoinHandle::is_finished);
        !is_over && !self.fuse.is_blown()
    }

    /// Runs `work` in a transaction and returns once that is committed. Work that fails changes nothing; work whose
    /// caller has gone is committed all the same.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        sync: Sync,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StorageError> {
        let (sender, receiver) = oneshot::channel();
        let run = Box::new(move |connection: Option<&Connection>| {
            let result = connection.map(work);
            let failed = result.as_ref().and_then(|result| result.as_ref().err());
            Done {
                failure: failed.map(Refusal::of),
                answer: Box::new(move |refusal: Option<Refusal>| {
                    let answer = match (refusal, result) {
                        (Some(refusal), _) => Err(refusal.into()),
                        (None, Some(result)) => result.map_err(error::meaning),
                        (None, None) => return,
                    };
                    // Nobody may be waiting any more.
                    let _ = sender.send(answer);
                }),
            }
        });
        let gone = || StorageError::unavailable("the index is closed");
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        jobs.send(Job { sync, run }).map_err(|_| gone())?;
        receiver.await.map_err(|_| gone())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported there.
            let _ = thread.join();
        }
    }
}

/// What the thread has in hand.
struct Turn {
    connection: Connection,
    /// Whether anything is ever synced here.
    syncs: bool,
    /// How SQLite is set.
    sync: Sync,
    fuse: Fuse,
    /// Rows changed when the log was last moved into the file.
    checkpointed: u64,
}

impl Turn {
    fn new(connection: Connection, syncs: bool) -> Self {
        Self {
            connection,
            syncs,
            sync: Sync::Durable,
            fuse: Fuse::default(),
            checkpointed: 0,
        }
    }

    fn serve(mut self, queue: &Receiver<Job>) {
        while let Ok(first) = queue.recv() {
            let mut batch = vec![first];
            while batch.len() < BATCH {
                match queue.try_recv() {
                    Ok(job) => batch.push(job),
                    Err(_) => break,
                }
            }
            // Soft facts first, and by themselves: their answers do not wait for a sync. All that is queued at one time
            // was asked for at one time, so nobody can tell that they overtake.
            let is_soft = |job: &Job| job.sync == Sync::Soft;
            let (soft, durable) = batch.into_iter().partition(is_soft);
            self.commit(soft);
            self.commit(durable);
            self.checkpoint();
        }
    }

    fn commit(&mut self, batch: Vec<Job>) {
        if batch.is_empty() {
            return;
        }
        let (answers, refusal) = self.run(batch);
        if let Some(refusal) = &refusal {
            self.give_up(refusal);
        }
        for answer in answers {
            answer(refusal.clone());
        }
    }

    /// Runs the batch in one transaction. Once that is lost, the rest does not run.
    fn run(&mut self, batch: Vec<Job>) -> (Vec<Answer>, Option<Refusal>) {
        let durable = batch.iter().any(|job| job.sync == Sync::Durable);
        let mut lost = self.begin(durable).err();
        let mut answers = Vec::with_capacity(batch.len());
        for job in batch {
            if lost.is_none() {
                lost = self.execute("SAVEPOINT job").err();
            }
            let connection = lost.is_none().then_some(&self.connection);
            let done = (job.run)(connection);
            if lost.is_none() {
                lost = self.end_savepoint(done.failure).err();
            }
            answers.push(done.answer);
        }
        // While building, a commit would only write pages out that the next batch changes again.
        if lost.is_none() && (self.syncs || durable) {
            lost = self.execute("COMMIT").err();
        }
        (answers, lost)
    }

    fn begin(&mut self, durable: bool) -> Result<(), Refusal> {
        if self.fuse.is_blown() {
            return Err(Refusal::Unsynced);
        }
        self.set_sync(durable)
            .map_err(|error| Refusal::of(&error))?;
        if self.connection.is_autocommit() {
            self.execute("BEGIN IMMEDIATE")
        } else {
            Ok(())
        }
    }

    fn end_savepoint(&self, failure: Option<Refusal>) -> Result<(), Refusal> {
        match failure {
            None => self.execute("RELEASE job"),
            // Some errors, such as a full disk, end the whole transaction.
            Some(failure) if self.connection.is_autocommit() => Err(failure),
            Some(_) => self.execute("ROLLBACK TO job; RELEASE job"),
        }
    }

    fn execute(&self, sql: &str) -> Result<(), Refusal> {
        self.connection
            .execute_batch(sql)
            .map_err(|error| Refusal::of(&error))
    }

    fn give_up(&mut self, refusal: &Refusal) {
        if !self.connection.is_autocommit() {
            // When this fails too, the next BEGIN does, and says so.
            let _ = self.execute("ROLLBACK");
        }
        match refusal {
            Refusal::Unsynced if self.fuse.is_blown() => {}
            Refusal::Unsynced => {
                tracing::error!("a sync of the index failed: writes stop until it is opened again");
                self.fuse.blow();
            }
            Refusal::Full => tracing::error!("no space is left for the index"),
            Refusal::Failed(error) => tracing::error!(error, "changes were not committed"),
        }
    }

    fn set_sync(&mut self, durable: bool) -> rusqlite::Result<()> {
        let (sync, value) = if durable {
            (Sync::Durable, "full")
        } else {
            (Sync::Soft, "normal")
        };
        if self.syncs && self.sync != sync {
            self.connection.pragma_update(None, "synchronous", value)?;
            self.sync = sync;
        }
        Ok(())
    }

    /// Moves the log into the file, now and then, after everybody has their answer.
    fn checkpoint(&mut self) {
        let changes = self.connection.total_changes();
        if !self.syncs || self.fuse.is_blown() || changes - self.checkpointed < CHECKPOINT_EVERY {
            return;
        }
        self.checkpointed = changes;
        let moved = self
            .connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        if let Err(error) = moved {
            if is_failed_sync(&error) {
                self.fuse.blow();
            }
            tracing::error!(%error, "the index's log could not be moved into its file");
        }
    }
}
