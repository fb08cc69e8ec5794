//! Where sources come from: git repositories, uploaded folders and archives; each becomes a [`Snapshot`].
//!
//! A source is a stranger's. It is read into a tree first, whose names are checked as they come, and from there into one
//! deterministic archive; no file of it is ever written to this machine under a name of its own choosing, and git never
//! makes a working copy: no hook, filter, link, submodule's path or line-ending rule of a repository has anything to act
//! upon. Files are as they were committed, byte for byte.
//!
//! Connections go where [`Reach`] allows and nowhere else.

mod artifact;
mod fault;
pub mod git;
mod hashing;
mod limits;
mod network;
mod reach;
mod scripts;
mod snapshot;
mod tree;
pub mod upload;
mod web;

pub use artifact::{ARTIFACT_TYPE, CONFIG_TYPE, config, pack};
pub(crate) use artifact::{MAX_CONFIG_BYTES, pack_for, said};
pub use fault::{Fault, FaultClass};
pub use limits::SourceLimits;
pub use network::SourceNetwork;
pub use reach::Reach;
pub(crate) use scripts::MAX_SCRIPT_BYTES;
pub use scripts::fetch_scripts;
pub use snapshot::Snapshot;
