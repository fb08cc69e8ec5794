//! Builds and their runs: the service behind the REST API, the command line, webhooks and schedules.
//!
//! [`Builds`] keeps records in a [`Ledger`](crate::ledger::Ledger), runs plans with a [`Driver`](crate::driver::Driver)
//! and publishes by [`Images`](crate::images::Images). It asks nobody for rights: who calls has judged the caller,
//! and what a run reads and writes is judged by `Images`, for the run's [`Actor`](crate::records::Actor), each time anew.
//!
//! # What holds
//!
//! - A run is in the ledger before whoever asked for it hears of it, and until it has ended it is *open* there:
//!   [`Builds::drive`] finds it again after a crash.
//! - The ledger says beforehand what a run is about to publish. After a crash it is looked up whether it was: published and
//!   recorded, or neither. A run that was interrupted before is queued once more; interrupted again, it has failed with
//!   the reason `Interrupted`.
//! - Of a run's result, its state, its build's status and the event `build.succeeded` are one write.
//! - Time is an argument. [`Builds::drive`] alone looks at the clock.

mod brief;
mod catalogue;
mod credential;
mod definitions;
mod drive;
mod ending;
mod error;
mod event;
mod events;
mod figures;
mod finish;
mod git_files;
mod hosts;
mod live;
pub mod log;
mod name;
mod pipeline;
mod progress;
mod queue;
mod reason;
mod record;
mod recover;
mod reproduce;
mod retention;
mod runs;
mod scribe;
mod secrets;
mod settings;
mod spec;
mod submit;
mod triggered;
mod turns;
mod usage;
mod version;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, Semaphore};
use tokio_util::task::TaskTracker;

pub use credential::ProbeError;
pub(crate) use definitions::check;
pub use error::{BuildsError, Invalid, What};
pub use event::{BuildEvent, Occurrence};
pub use events::Events;
pub use name::is_entry_name;
pub use record::{Page, PageOf, Recorded};
pub use runs::{Age, RunsOf};
pub use secrets::SecretContent;
pub use settings::{Parts, Quota, Settings, Timeout};
pub use submit::Asked;
pub(crate) use triggered::Standing;

use figures::Figures;
use live::Live;
pub use queue::Wait;
use queue::{Queue, Workers};
use record::Store;

/// The service. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Builds(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    parts: Parts,
    settings: Settings,
    queue: Mutex<Queue>,
    live: Live,
    figures: Figures,
    /// Of those who follow logs, so many read at the same time.
    log_turns: Arc<Semaphore>,
    /// Something had no answer: runs may be open in the ledger that nobody has.
    unheard: Notify,
    /// Something may be to do for the queue.
    wake: Notify,
    /// Threads that read or write for runs: they outlive the futures that wait for them.
    threads: TaskTracker,
}

/// How busy the service is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Runs that wait.
    pub waiting: usize,
    /// Runs that are at work.
    pub working: usize,
    /// Runs that may be at work at once.
    pub workers: usize,
}

impl Builds {
    /// The service upon its parts. Nothing runs before [`Builds::drive`].
    pub fn new(parts: Parts, settings: Settings) -> Self {
        let workers = Workers {
            all: settings.workers,
            of_namespace: settings.namespace_workers,
        };
        Self(Arc::new(Inner {
            store: Store::new(Arc::clone(&parts.ledger)),
            parts,
            settings,
            queue: Mutex::new(Queue::new(workers)),
            live: Live::default(),
            figures: Figures::default(),
            log_turns: Arc::new(Semaphore::new(log::READERS)),
            unheard: Notify::new(),
            wake: Notify::new(),
            threads: TaskTracker::new(),
        }))
    }

    /// How many runs wait, and how many are at work.
    pub fn load(&self) -> Load {
        let queue = self.queue();
        Load {
            waiting: queue.waiting(),
            working: queue.working(),
            workers: self.settings().workers,
        }
    }

    fn store(&self) -> &Store {
        &self.0.store
    }

    fn parts(&self) -> &Parts {
        &self.0.parts
    }

    fn settings(&self) -> &Settings {
        &self.0.settings
    }

    fn live(&self) -> &Live {
        &self.0.live
    }

    fn figures(&self) -> &Figures {
        &self.0.figures
    }

    fn log_turns(&self) -> Arc<Semaphore> {
        Arc::clone(&self.0.log_turns)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        self.0.wake.notify_one();
    }
}
