//! Elsewhere there is no window, hence nothing of this to test.
#![cfg(all(target_os = "linux", target_pointer_width = "64"))]

mod abort;
mod content;
mod guard;
mod harness;
mod paths;
