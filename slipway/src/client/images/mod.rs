//! Images where they are kept: registries, by the distribution API, and folders in the OCI layout; and the way from one to
//! another.
//!
//! Written on `reqwest` and the words of crate `oci` rather than on a ready client: bytes are streamed from one side to the
//! other without being kept, go on where they broke off, and manifests stay the bytes that they were.

mod archive;
mod copy;
mod failure;
mod found;
mod layout;
mod lists;
mod name;
mod pilot;
mod place;
mod platform;
mod progress;
mod ref_name;
mod referrers;
mod repository;
mod session;
mod sides;
mod store;
mod upload;

pub(crate) use copy::{Copied, Plan, copy};
pub(crate) use lists::repositories;
pub(crate) use name::ImageName;
pub(crate) use place::Place;
pub(crate) use platform::Platform;
pub(crate) use repository::Repository;
pub(crate) use session::Session;
