//! The OCI Distribution API: what a client may ask of a repository, and the answer.
//!
//! A request only moves forward: words ([`oci::Operation`]) → permit ([`auth::Permit`]) → deed
//! (the methods of [`Registry`], one file a deed) → bytes → reply ([`http`], the only room that
//! knows HTTP). Every deed takes the permit that it needs, so a handler without its check does
//! not compile.
//!
//! Source: OCI distribution-spec 1.1.1 and its development text.

mod delete;
mod error;
pub mod http;
mod list;
mod pull;
mod push;
mod tokens;
mod upload;

pub use error::Error;
pub use list::{CatalogPage, Listing};
pub use tokens::IndexedTokens;
pub use upload::{Mounted, Received};

use auth::Gate;
use storage::Storage;

/// One registry: stored content behind a gate.
#[derive(Debug)]
pub struct Registry {
    storage: Storage,
    gate: Gate,
}

impl Registry {
    /// A registry that serves `storage` to those whom `gate` lets through.
    pub fn new(storage: Storage, gate: Gate) -> Self {
        Self { storage, gate }
    }

    /// Who is asking, and what they may do.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The content, for maintenance that goes past the API (start-up, janitors, shutdown).
    pub fn storage(&self) -> &Storage {
        &self.storage
    }
}
