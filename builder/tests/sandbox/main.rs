//! The sandbox with a real runtime on a real root. Needs root, runc, nft and a static busybox.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod cleanup;
mod hostile;
mod lab;
mod layers;
mod limits;
mod mounts;
mod network;
mod ordinary;
mod process;
