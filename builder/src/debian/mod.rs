//! Builder images of our own, made of Debian packages: no registry is needed for them, only a mirror of Debian.
//!
//! An image has two layers: Debian's base system with the language's packages, which `mmdebstrap` or `debootstrap` installs,
//! and the scripts of S2I. Packages of the same versions give the same bytes: times are clamped to the epoch, and what tells
//! of the machine or the day (logs, caches, host name) is left out.
//!
//! The scripts and descriptions are `builder/images/`; they are part of the program.

mod base;
mod bootstrap;
mod config;
mod create;
mod error;
mod language;
mod layout;
mod own;
mod scripts;

pub use bootstrap::Mirrors;
pub use create::{Created, Recipe, create};
pub use error::CreateError;
pub use language::{Language, Release, Unavailable};
