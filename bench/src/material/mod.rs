//! What is pushed and pulled, and what servers are configured with: all made here, nothing fetched.

mod access;
mod blob;
mod layout;
mod manifest;

pub(crate) use access::{Access, Certificate, ISSUER};
pub(crate) use blob::{Blob, sha256};
pub(crate) use layout::Layout;
pub(crate) use manifest::{ACCEPT, Manifest};
