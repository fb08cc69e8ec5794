//! Layers on a real overlayfs: unpacked, stacked, changed, exported, applied again.
//!
//! Mounting needs root, or a user namespace in which the tests find themselves root; the same tests run in both
//! (`userns.rs` says which cannot).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, also in what tests share"
)]

mod archive;
mod hostile;
mod lab;
mod memory;
mod oracle;
mod pitfalls;
mod property;
mod store;
mod survey;
mod userns;
