//! Plans run by the driver with a real runtime upon images made of a static busybox. Needs root, runc, nft and busybox.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod caches;
mod cleanup;
mod floor;
mod hostile;
mod image;
mod images;
mod lab;
mod main_path;
mod network;
mod oracle;
mod ordinary;
mod steps;
