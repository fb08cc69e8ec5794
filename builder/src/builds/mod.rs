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

mod catalogue;
mod credential;
mod definitions;
mod error;
pub mod log;
mod name;
mod record;
mod runs;
mod sealing;
mod secrets;
mod settings;
mod spec;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

pub use credential::ProbeError;
pub use error::{BuildsError, Invalid, What};
pub use name::ImageName;
pub use record::{Page, PageOf, Recorded};
pub use runs::Asked;
pub use sealing::{Sealing, SealingError};
pub use secrets::SecretContent;
pub use settings::{Parts, Settings};

use record::Store;

/// The service. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Builds(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    parts: Parts,
    settings: Settings,
}

impl Builds {
    /// The service upon its parts. Nothing runs before [`Builds::drive`].
    pub fn new(parts: Parts, settings: Settings) -> Self {
        Self(Arc::new(Inner {
            store: Store::new(Arc::clone(&parts.ledger)),
            parts,
            settings,
        }))
    }

    /// Takes up what an earlier process left, then runs what is asked for, until `stop`. Then runs at work are ended and
    /// wait again, and it returns when all have. Call it once.
    pub async fn drive(&self, stop: CancellationToken) {
        stop.cancelled().await;
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
}
