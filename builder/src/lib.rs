//! From source and a builder image to an image.
//!
//! - [`s2i`]: the contract of source-to-image, as pure functions: what a builder image promises, what a source may
//!   override, what the result looks like.
//! - [`plan`]: a request becomes a [`plan::Plan`], a value that any driver can run and that says beforehand all
//!   that will happen.
//! - [`source`]: git repositories, folders and archives become snapshots that a plan names by digest.
//!
//! Nothing here knows a registry: images come in as configuration and digest.

pub mod plan;
pub mod s2i;
pub mod source;
